"""Who may call which RPC: one table (`policy.csv`), and decisions by it (`decisions.Policy`).

Nothing that `perdure dev` imports comes here: casbin takes its time.
"""
