"use strict";
// What every page's plots share: the data in #plot-data, colours, axes, legends. Every string from a run
// goes through textContent or comes already escaped for plotly's pseudo-HTML; nothing is fetched.
const edgebenchPlots = (function () {
  const data = JSON.parse(document.getElementById("plot-data").textContent);
  const byId = (id) => document.getElementById(id);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // Okabe and Ito's palette, which colour-blind readers can tell apart, and two more for long legends.
  const light = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#a07000", "#666666", "#882255", "#7e8c00"];
  const bright = ["#56b4e9", "#ff8c42", "#2ecc9b", "#e8a1c8", "#9ad0f5", "#f0c040", "#bbbbbb", "#f07a9a", "#c8d64b"];
  const colour = (number) => (dark.matches ? bright : light)[number % light.length];
  // No mode bar: dragging zooms, a double click goes back, and nothing offers to send data anywhere.
  const config = { responsive: true, displaylogo: false, displayModeBar: false };

  function layout(title, xTitle, yTitle) {
    const axis = {
      gridcolor: style("--line"), linecolor: style("--line"), zeroline: false, automargin: true,
      tickfont: { size: 11 }, title: { font: { size: 12 }, standoff: 8 },
    };
    return {
      title: { text: title, font: { size: 14 }, x: 0.02, xanchor: "left", y: 0.96 },
      font: { family: style("font-family") || "system-ui, sans-serif", color: style("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      margin: { l: 58, r: 24, t: 44, b: 50 }, hovermode: "closest",
      hoverlabel: { align: "left", bgcolor: style("--panel"), bordercolor: style("--line"), font: { color: style("--ink") } },
      xaxis: { ...axis, title: { ...axis.title, text: xTitle } },
      yaxis: { ...axis, title: { ...axis.title, text: yTitle } },
    };
  }

  // Values over more than a decade go on a logarithmic axis, with ticks at 1, 2, 5 (or at the decades).
  function range(axis, values) {
    const low = Math.min(...values), high = Math.max(...values);
    if (low > 0 && high / low > 12) {
      const room = 0.06 * Math.log10(high / low);
      const ticks = [];
      for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.log10(high) + 1; power += 1) {
        for (const digit of high / low > 1000 ? [1] : [1, 2, 5]) ticks.push(Number((digit * 10 ** power).toPrecision(2)));
      }
      Object.assign(axis, {
        type: "log", range: [Math.log10(low) - room, Math.log10(high) + room],
        tickvals: ticks, ticktext: ticks.map((tick) => tick.toLocaleString("en")),
      });
    } else {
      const room = 0.08 * (high - low) || 0.05 * Math.abs(high) || 1;
      axis.range = [low - room, high + room];
    }
  }

  const bars = (points, value, lo, hi) => ({
    type: "data", symmetric: false, thickness: 1.2, width: 4,
    array: points.map((p) => (p[hi] === null ? 0 : p[hi] - p[value])),
    arrayminus: points.map((p) => (p[lo] === null ? 0 : p[value] - p[lo])),
  });

  // Fill every place for a legend: names with the number of their colour, hollow where so said.
  function drawLegend(entries) {
    for (const place of document.querySelectorAll(".legend.artifacts")) {
      place.replaceChildren(...entries.map(({ name, number, hollow }) => {
        const entry = document.createElement("span"), dot = document.createElement("i");
        entry.className = "name";
        dot.style.background = hollow ? "transparent" : colour(number);
        dot.style.border = `2px solid ${colour(number)}`;
        entry.append(dot, document.createTextNode(name));
        return entry;
      }));
    }
  }

  return { data, byId, style, dark, colour, config, layout, range, bars, drawLegend };
})();
