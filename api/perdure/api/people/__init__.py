"""People: who they are wherever they are users, how they prove it, and what they do with their own logins."""
