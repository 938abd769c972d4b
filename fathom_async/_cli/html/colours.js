// Charts are drawn on a transparent ground; ink and grid follow the page's light or dark side, and the length of labels
// the room that there is.
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const ink = dark.matches ? "#e6ebf0" : "#1f2933", grid = dark.matches ? "#303b47" : "#dfe5ea";
  for (const plot of document.querySelectorAll(".js-plotly-plot"))
    Plotly.relayout(plot, {"font.color": ink, "xaxis.gridcolor": grid, "yaxis.gridcolor": grid,
      "xaxis.zerolinecolor": grid, "yaxis.zerolinecolor": grid});
}
const narrow = matchMedia("(max-width: 700px)");
function label() {
  const length = narrow.matches ? "short" : "long";
  for (const plot of document.querySelectorAll(".js-plotly-plot"))
    if (plot.layout.meta) Plotly.relayout(plot, {"yaxis.ticktext": plot.layout.meta[length]});
}
dark.addEventListener("change", paint);
narrow.addEventListener("change", label);
paint();
label();
