"""The main job on real data, shown on a laptop: nothing here is special-cased in the loop."""
