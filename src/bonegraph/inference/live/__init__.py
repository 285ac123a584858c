"""Watching: what people do while it happens.

    pictures --estimator--> poses --Tracker--> people --Steady--> frames of the checkpoint, by time
        --Stream--> probabilities --Course--> an action of each person, with its start and its end

`Watcher` does what follows the estimator, and knows no clock but the times it is given; `Session` drives it with a live
source. Nothing grows with the time that is watched.
"""
