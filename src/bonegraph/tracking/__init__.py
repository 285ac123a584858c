"""Who is who in the frames of a recording whose poses are listed in any order.

`Tracker` works frame by frame and forgets who is gone, so that it can run forever. `places` works on a whole recording:
it adds what only hindsight tells, who of all these stays, and who came back.
"""
