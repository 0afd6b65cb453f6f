"""The freshness protocol as pure values and functions: names of data (tags), proofs of age (stamps), guards of transit
(fences).

Nothing here imports Django. The journey, in the order of its modules:

`tags`     names of data in physical names, in one canonical text
`reads`    what a query carries       `writes`  what a write emits      (a write a reader must notice shares a tag with it)
`stamps`   every decision of the store as a pure function               `store`   the same decisions as Redis scripts
`fences`   what an accelerator may store and may serve                  `surrogates`  tags -> about a dozen short keys

The tests explore `stamps` and `fences` exhaustively, with crashes, losses and delays at every step, and prove `store` equal to
`stamps`.
"""
