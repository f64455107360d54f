"""From raw prompts to training prompts: sources, safety, near- and semantic duplicates, clusters, resampling, funnel."""
