"use strict";
// A send live: its numbers as they come, and what was sent and delivered as two lines.
(() => {
  const card = document.querySelector("[data-live]");
  const place = document.getElementById("chart");
  if (!window.EventSource) return;
  // Counts alone, for as long as the tab is open: the line goes on where the page is loaded anew.
  const kept = "muster.chart." + card.dataset.id;
  const data = JSON.parse(sessionStorage.getItem(kept) || "null") || [[Date.parse(card.dataset.began) / 1000], [0], [0]];
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
  draw();
  if (!card.dataset.live) return;
  const source = new EventSource(card.dataset.live);
  const told = (event) => {
    const now = JSON.parse(event.data);
    document.getElementById("numbers").innerHTML = now.html;
    data[0].push(Date.now() / 1000); data[1].push(now.sent); data[2].push(now.delivered);
    if (data[0].length > 2000) for (const one of data) one.splice(1, 1);
    sessionStorage.setItem(kept, JSON.stringify(data));
    draw();
    anew(now.state);
    if (now.end) source.close();
  };
  // Another state has other controls: the page anew, unless it says what came of an act, or somebody is about to press
  // one of them.
  const anew = (state) => {
    if (state !== card.dataset.state && !document.querySelector(".notice.good") && !card.querySelector("form :focus")) location.reload();
  };
  source.addEventListener("state", (event) => anew(JSON.parse(event.data).state));
  source.addEventListener("numbers", told);
  source.addEventListener("end", told);
  window.addEventListener("resize", () => chart?.setSize({ width: place.clientWidth, height: 200 }));
})();
