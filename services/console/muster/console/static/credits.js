"use strict";
// Credits over time: what is available, and what was used in all.
(() => {
  const place = document.getElementById("chart");
  const points = JSON.parse(place.dataset.points);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = () => ({ stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } });
  // As people of the country write it, by the clock of the business: a day, or within two days a time.
  const DAY_S = 86400;
  const told = (splits) => {
    const style = splits.at(-1) - splits[0] > 2 * DAY_S ? { day: "numeric", month: "short" } : { hour: "numeric", minute: "2-digit" };
    const written = new Intl.DateTimeFormat(place.dataset.locale, { ...style, timeZone: place.dataset.zone });
    return splits.map((s) => written.format(s * 1000));
  };
  const step = uPlot.paths.stepped({ align: 1 });
  let chart;
  const draw = () => {
    chart?.destroy();
    chart = new uPlot({
      width: place.clientWidth, height: 200, legend: { show: false }, cursor: { show: false },
      axes: [{ ...axis(), space: 90, values: (_, splits) => told(splits) }, { ...axis(), size: 70 }],
      series: [{}, { stroke: css("--accent"), width: 2, paths: step, points: { show: false } },
        { stroke: css("--muted"), width: 2, dash: [6, 4], paths: step, points: { show: false } }],
    }, [points.at, points.available, points.used], place);
  };
  draw();
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
