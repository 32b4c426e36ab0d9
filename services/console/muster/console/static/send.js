"use strict";
// A send live: its numbers as they come, and what was sent and delivered as two lines.
(() => {
  const AGAIN_MS = 5000;
  const card = document.querySelector("[data-live]");
  const place = document.getElementById("chart");
  if (!window.EventSource) return;
  // Counts alone, for as long as the tab is open: the line goes on where the page is loaded anew.
  const kept = "muster.chart." + card.dataset.id;
  const data = JSON.parse(sessionStorage.getItem(kept) || "null") || [[0], [0], [0]];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const began = Date.parse(card.dataset.began) / 1000;
  const elapsed = (_, values) => values.map((s) => Math.floor(s / 60) + ":" + String(Math.floor(s % 60)).padStart(2, "0"));
  const axis = () => ({ stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } });
  let chart;
  const draw = () => {
    if (chart) { chart.setData(data); return; }
    if (data[0].length < 2) return;
    chart = new uPlot({
      width: place.clientWidth, height: 200, legend: { show: false }, cursor: { show: false },
      // Not less than some seconds, each of which is written once: most sends are over before a minute has passed.
      scales: { x: { time: false, range: (_, __, max) => [0, Math.max(max, 5)] } },
      axes: [{ ...axis(), values: elapsed, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400] }, { ...axis(), size: 60 }],
      series: [{}, { stroke: css("--muted"), width: 2, dash: [6, 4], points: { show: false } },
        { stroke: css("--accent"), width: 2, points: { show: false } }],
    }, data, place);
    document.querySelector(".legend").hidden = false;
  };
  draw();
  let source;
  // When all is over, replies still come: it is asked again now and then, while somebody looks.
  const listen = () => {
    if (document.hidden) { setTimeout(listen, AGAIN_MS); return; }
    source = new EventSource(card.dataset.live);
    source.addEventListener("numbers", told);
    source.addEventListener("end", told);
    source.addEventListener("state", (event) => anew(JSON.parse(event.data).state));
    source.addEventListener("error", closed);
  };
  const own = "/sends/" + card.dataset.id;
  // Whoever goes back, or elsewhere, is let go: loading this page anew would call off what they asked for.
  let leftAt = 0;
  window.addEventListener("beforeunload", () => { leftAt = Date.now(); });
  const isLeft = () => Date.now() - leftAt < AGAIN_MS;
  // It is taken up again by itself, unless what came was no stream: the session has ended, or something is away.
  const closed = async () => {
    if (source.readyState !== EventSource.CLOSED) return;
    const page = await fetch(own, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (page?.type === "opaqueredirect" && !isLeft()) location.replace(own);
    else setTimeout(listen, AGAIN_MS);
  };
  const sample = (now) => {
    const isKnown = now.sent === data[1].at(-1) && now.delivered === data[2].at(-1);
    if (isKnown || (card.dataset.state === "closed" && data[0].length < 2)) return;
    data[0].push(Math.max(0, Date.now() / 1000 - began)); data[1].push(now.sent); data[2].push(now.delivered);
    if (data[0].length > 2000) for (const one of data) one.splice(1, 1);
    sessionStorage.setItem(kept, JSON.stringify(data));
    draw();
  };
  const told = (event) => {
    const now = JSON.parse(event.data);
    document.getElementById("numbers").innerHTML = now.html;
    sample(now);
    anew(now.state);
    if (now.end) { source.close(); setTimeout(listen, AGAIN_MS); }
  };
  // Another state has other controls: the page anew, unless it has just said what came of an act, or somebody is about
  // to press one of them.
  const NEWS_MS = 10000;
  const isNews = () => document.querySelector("[data-focus]") && performance.now() < NEWS_MS;
  const anew = (state) => {
    if (state === card.dataset.state || isLeft()) return;
    if (!isNews() && !document.querySelector("main form :focus")) location.replace(own);
  };
  listen();
  window.addEventListener("resize", () => chart?.setSize({ width: place.clientWidth, height: 200 }));
})();
