"""The heart: what was read, what was written, is it still true. The contract is in `protocol`; Django's side is around it.

`recorder` what a build read · `sql`, `orm` statements -> tags · `catalog` what the database tells about its tables ·
`outbox` triggers and what they noted · `commits` the write path · `daemon` writes by other programs · `keeper` the store.
"""
