"use strict";
// A send live: its numbers as they come, and what was sent and delivered as two lines.
(() => {
  const card = document.querySelector("[data-live]");
  const place = document.getElementById("chart");
  if (!card.dataset.live || !window.EventSource) return;
  const data = [[Date.parse(card.dataset.began) / 1000], [0], [0]];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = () => ({ stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } });
  let chart;
  const draw = () => {
    if (chart) { chart.setData(data); return; }
    if (data[0].length < 2) return;
    chart = new uPlot({
      width: place.clientWidth, height: 200, legend: { show: false }, cursor: { show: false },
      axes: [axis(), { ...axis(), size: 60 }],
      series: [{}, { label: card.dataset.sent, stroke: css("--accent"), width: 2 },
        { label: card.dataset.delivered, stroke: css("--good"), width: 2, dash: [6, 4] }],
    }, data, place);
  };
  const source = new EventSource(card.dataset.live);
  const told = (event) => {
    const now = JSON.parse(event.data);
    document.getElementById("numbers").innerHTML = now.html;
    data[0].push(Date.now() / 1000); data[1].push(now.sent); data[2].push(now.delivered);
    if (data[0].length > 2000) for (const one of data) one.splice(1, 1);
    draw();
    // Other controls and another state: the page anew, unless somebody is about to press one of them.
    if (now.state !== card.dataset.state && !card.querySelector("form :focus")) location.replace(location.pathname.replace(/\/(stop|pause|resume|confirm)$/, ""));
    if (now.end) source.close();
  };
  source.addEventListener("numbers", told);
  source.addEventListener("end", told);
  window.addEventListener("resize", () => chart?.setSize({ width: place.clientWidth, height: 200 }));
})();
