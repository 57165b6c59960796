"""What the gateway knows of people, keys and certificates: records that the control plane publishes, held in memory."""
