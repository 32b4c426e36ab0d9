"use strict";
// Credits over time: what is available, and what was used in all.
(() => {
  const place = document.getElementById("chart");
  const points = JSON.parse(place.dataset.points);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = () => ({ stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } });
  const step = uPlot.paths.stepped({ align: 1 });
  let chart;
  const draw = () => {
    chart?.destroy();
    chart = new uPlot({
      width: place.clientWidth, height: 200, legend: { show: false }, cursor: { show: false },
      axes: [axis(), { ...axis(), size: 70 }],
      series: [{}, { stroke: css("--accent"), width: 2, paths: step, points: { show: false } },
        { stroke: css("--muted"), width: 2, dash: [6, 4], paths: step, points: { show: false } }],
    }, [points.at, points.available, points.used], place);
  };
  draw();
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
