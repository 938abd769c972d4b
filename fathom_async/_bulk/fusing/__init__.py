r"""Fewer requests for the same answers: queries are fused if their answers can be separated again exactly.

A report is a table of groups: the server puts every record that passes the filters into the group of its labels, and
computes each group from its own records. So a *complete* answer contains others: those with fewer metrics, of single
buckets or of sums of them, of the group of an ``is`` value, of fewer groupings where figures add up. Which ones, and
why that is exact, say the rules of `fathom_async._reports.implication`; this package finds the answers to ask for.

**1. Boxes.** A request is a box of groups and dates (`fathom_async._bulk.fusing.box`), and holds the queries that its
answer contains. Figures that do not add up (visitors, averages) need exactly their own groups, and their own range or
one bucket: they decide which boxes there are. ``pageviews``, ``conversions`` and ``value`` ride along in any box that
is fine enough, and boxes grow for them as little as possible. Filling boxes optimally is a packing problem; it is
done in a few orders, and the one with the fewest boxes counts. Time is near-linear in the number of queries.

**2. Values.** The records with ``pathname is /a`` are the group ``/a`` of a grouping by ``pathname``. The other
groups are kept out where that saves rows, by a pattern (`fathom_async._bulk.fusing.texts`) that has no part in what
is exact.

**3. Order.** A box holds only queries that exactly one sequence of rows may answer. Others are asked as they are, and
what their answers contain rides along. The first rows by a figure are cut here from a complete answer, unless two of
them are equal.

**4. Rows.** A request that groups by fields gets at most 1,000 rows, and nothing tells what is missing. So a box is
planned only if dates times values stay below, as far as answers of the account have shown how many values a property
has (`fathom_async._bulk.fusing.knowledge`). An answer that was cut off teaches that, and its queries are planned
anew.

**5. Texts.** A server may take two texts for one, in ``is``, in its groups, or in patterns: those that differ in case
or accents, in blanks around them, a last slash, or percent-encoding. So the pattern lets through whatever looks like
an asked value, and a value is in doubt as soon as another text of the answer looks like it, or if the server may read
it as another one. The first doubt about a property costs one request, which tells whether the server compares exactly
(`fathom_async._bulk.fusing.check`); the answer is remembered for the account. If it does, patterns are exact from
then on, and nothing is in doubt any more. If it does not, values in doubt are asked for by themselves, as are values
that are never certain (`fathom_async._reports.collation.is_certain`).

**What this rests on**, since no answer shows it: the filters of a request must all hold, as documented; a group of
the server has no records that ``is`` does not find under its name, since both compare in the same way; and the server
compares all texts of a property in one way. A group that has records of two texts looks like one of a single text. So
a server that ignores case in its groups, but not in ``is``, is found out only if the group of the check is one; if
not, other groups of the property are believed from then on.
"""

from fathom_async._bulk.fusing.box import depends_on_zone
from fathom_async._bulk.fusing.check import check_of, is_exact
from fathom_async._bulk.fusing.fuse import Fused, Member, apart, doubted, fuse
from fathom_async._bulk.fusing.knowledge import ServerKnowledge

__all__ = [
    "Fused",
    "Member",
    "ServerKnowledge",
    "apart",
    "check_of",
    "depends_on_zone",
    "doubted",
    "fuse",
    "is_exact",
]
