"""How fast the models are on this machine: plain, by the fast path, and written down as the papers read.

Case   clips of one shape                                    `cases`
Way    a network that gives what a model gives               `ways`, `naive`
Row    one thing that is measured, and what was measured     `rows`
Floor  the products and convolutions of a row, alone         `operations`, `alone`, `floor`
Run    rows that take turns                                  `measure`, `peak`, `memory`, `data`
Report as JSON, tables and a picture                         `report`, `plot`
"""
