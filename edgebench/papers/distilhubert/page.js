"use strict";
// Draws the DistilHuBERT paper's Table II as points with deviations, and its Fig. 1 as a matrix.
(function () {
  const { data, byId, style, dark, colour, config, layout, drawLegend } = edgebenchPlots;

  function points(plot) {
    const box = layout(plot.title, "", plot.y);
    Object.assign(box.xaxis, {
      tickvals: plot.names.map((_, place) => place), ticktext: plot.names, showgrid: false,
      range: [-0.5, plot.names.length - 0.5],
    });
    const traces = plot.series.map((series) => ({
      type: "scatter", mode: "markers", x: series.x, y: series.y, cliponaxis: false,
      marker: { size: 10, color: colour(series.colour), symbol: series.hollow ? "circle-open" : "circle", line: { width: 2, color: colour(series.colour) } },
      error_y: { type: "data", array: series.deviation.map((value) => value ?? 0), color: colour(series.colour), thickness: 1.2, width: 4 },
      hovertext: series.hover, hovertemplate: "%{hovertext}<extra></extra>",
    }));
    return { traces, box };
  }

  function matrix(plot) {
    const box = layout(plot.title, "predicted", "truth");
    Object.assign(box.yaxis, { autorange: "reversed", showgrid: false });
    Object.assign(box.xaxis, { showgrid: false, side: "bottom" });
    // The number in a cell stands in the ink that its shade leaves readable.
    const annotations = plot.share.flatMap((row, y) => row.map((value, x) => ({
      x: plot.labels[x], y: plot.labels[y], text: plot.text[y][x], showarrow: false,
      font: { size: 12, color: value > 0.55 ? style("--back") : style("--ink") },
    })));
    box.annotations = annotations;
    const traces = [{
      type: "heatmap", x: plot.labels, y: plot.labels, z: plot.share, zmin: 0, zmax: 1, showscale: false,
      colorscale: [[0, style("--back")], [1, colour(0)]], xgap: 2, ygap: 2,
      hovertext: plot.hover, hovertemplate: "%{hovertext}<extra></extra>",
    }];
    return { traces, box };
  }

  function draw() {
    drawLegend(data.legend);
    data.plots.forEach((plot, number) => {
      const { traces, box } = plot.kind === "matrix" ? matrix(plot) : points(plot);
      Plotly.react(byId(`plot-${number}`), traces, box, config);
    });
  }

  dark.addEventListener("change", draw);
  draw();
})();
