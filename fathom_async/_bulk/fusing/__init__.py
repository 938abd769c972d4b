r"""Fewer requests for the same answers: queries are fused if their answers can be separated again exactly.

A report is a table of groups: the server puts every record that passes the filters into the group of its labels, and
counts each group by itself. All that follows rests on this. *A group's figures depend on its own records only*, so
that they are the same, whatever other groups and other figures the request asks for. So a query may be answered by
any wider request in which its records are the same groups, and fusing is to find requests that are wide enough for
many queries. No figure is ever computed here: a row is handed out as it came, less the columns not asked for.

**(a) The same question, different aggregates: one with all of them.** The groups are the same ones, and figures do
not depend on each other.

**(b) Values of an ``is`` filter: one request that groups by its property.** The records with ``pathname is /a`` are
the group ``/a`` of a grouping by ``pathname``; a value without a group has no records, and is answered with no rows.
With several such properties it is the group of all their values. The other values are kept out, for the sake of the
rows: by ``is`` where one value is asked for, by ``matching ^(/a|/b)$`` where several are. The pattern has no part in
what is exact, for the grouping separates what it lets through: it need only let through every text asked for, and
literals between anchors do so in every dialect, though ``$`` may let a line break pass. Categorical properties know
no ``matching``, and are grouped by without restriction. It needs

* a property that can be grouped by (``domain`` cannot), with one ``is`` filter each in all the queries; all other
  filters are equal, and stay. Two ``is`` filters on one property contradict each other, and stay too;
* a text: what ``is ''`` finds depends on whether the server keeps a null or an empty text where it knows nothing;
* texts that are one to the server exactly if they are one here. A server that ignores case or accents names a group
  after any of its spellings. So where a text has no group, but one that looks like it has, the answer is not trusted.
  Nor is one that names a group twice.

**(c) Whole hours, days, months or years: one request that groups by the date.** The records of a day are the bucket
of that day. A bucket is never added to another, since visitors of two days are not those of both: a period of several
buckets is fused only if it is asked for by the bucket, as in ``date_grouping="day"``, of which it then is some rows.
Each bucket is the whole answer, for every metric. It needs

* a range that begins and ends with a bucket, and is not open: the request ends with the last bucket asked for, so
  that one of today is as much of today as by itself;
* the same clock. The ``timezone`` must be the same, or left to the site by all;
* for hours, a known ``timezone``, and days on which no clock is changed: the date of a row has no offset, so that of
  two hours with one name it does not tell which it is.

**(d) Equal queries: once.** Unless they differ in the order of their columns, and leave the order of rows to the
server, who may have another for each.

**Order, and limits.** A query is fused only if exactly one sequence of rows answers it: it has one row, or only dates
(which `fathom_async._reports.query.Query.read` puts in order, unless it sorts by them itself), or sorts by the one
column in which its rows differ. Else rows that are equal in the sorted column come in any order, and a limit cuts
between them anywhere; another request, even of the same groups, might be answered in another order. Those queries are
asked as they are. Where the sequence is defined, a wider answer has it as a subsequence. Limits cut it here, after
all rows have come; only where nothing but aggregates and limits differ does the server cut, at the highest limit.

**Row caps.** A request that groups by fields gets at most 1,000 rows, and says nothing of the rest. So one that got
as many is not trusted, and none is planned that may well get as many: the combinations of all values and dates are
counted, and for columns without restriction how many values they usually have.

What is not trusted costs one request: `Fused.split` returns None, and the queries are asked by themselves.

**Why few.** Each query has one *family*, the queries that (a), (b) and (c) can put together with it, and families
are packed into as few requests as caps and the length of a URL allow, greedily (see
`fathom_async._bulk.fusing.bin`). Aggregates cost nothing. Time is near-linear in the number of queries.

What is taken for granted, and cannot be seen in an answer: that ``is`` compares exactly, as documented, so that it
finds nothing that an anchored pattern of the same text misses; and that no rows, not a row of zeros, answer a query
without data.
"""

from fathom_async._bulk.fusing.fuse import Fused, Member, fuse

__all__ = ["Fused", "Member", "fuse"]
