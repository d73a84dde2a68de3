"use strict";
// Draws the traces of a figure's page as they are.
(function () {
  const { data, byId, style, dark, colour, config, layout, range, bars, drawLegend } = edgebenchPlots;
  const numbers = (values) => (values || []).filter((value) => value !== null);

  function place(axis, wish, values) {
    if (wish.limits) axis.range = wish.limits;
    else if (wish.from_zero) axis.range = [0, 1.06 * Math.max(...values)];
    else if (values.length) range(axis, values);
    if (wish.ticks) axis.tickvals = wish.ticks;
  }

  function trace(given) {
    const ink = given.colour === null ? style("--soft") : colour(given.colour);
    const points = given.y.map((y, i) => ({ y, lo: given.y_lo && given.y_lo[i], hi: given.y_hi && given.y_hi[i] }));
    const drawn = {
      type: "scatter", mode: given.labels.length ? `${given.mode}+text` : given.mode,
      x: given.x, y: given.y, opacity: given.opacity,
      line: { width: given.mode === "lines+markers" ? 1.5 : 2, color: ink, dash: given.dash },
      // A large diamond lies on top of many points: a rim sets it off.
      marker: {
        size: given.size, color: ink, symbol: given.symbol,
        line: { width: given.size > 8 ? 2 : 0, color: given.symbol === "diamond" ? style("--back") : ink },
      },
      text: given.labels, textposition: given.label_sides, textfont: { size: 11, color: style("--ink") }, cliponaxis: false,
    };
    if (given.hover.length) Object.assign(drawn, { hovertext: given.hover, hovertemplate: "%{hovertext}<extra></extra>" });
    else drawn.hoverinfo = "skip";
    if (given.y_lo) drawn.error_y = { ...bars(points, "y", "lo", "hi"), color: ink };
    return drawn;
  }

  function draw() {
    drawLegend(data.legend);
    data.plots.forEach((plot, number) => {
      const box = layout(plot.title, plot.x.title, plot.y.title);
      place(box.xaxis, plot.x, plot.traces.flatMap((t) => numbers(t.x)));
      place(box.yaxis, plot.y, plot.traces.flatMap((t) => [...numbers(t.y), ...numbers(t.y_lo), ...numbers(t.y_hi)]));
      Plotly.react(byId(`plot-${number}`), plot.traces.map(trace), box, config);
    });
  }

  dark.addEventListener("change", draw);
  draw();
})();
