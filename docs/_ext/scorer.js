// Scores of the search: guides before the reference, and the changelog last. See Sphinx's html_search_scorer.
var Scorer = {
  score: ([docname, title, anchor, description, score, filename, kind]) => {
    if (/^(changelog|contributing|security)$/.test(docname)) return score - 20;
    if (/^(explanation|reference)\//.test(docname) || docname === "overview") return kind === "index" ? score : score - 4;
    return score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 5, 1: 0, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
