"""Stage: terrain, craters, relief, rocks, light and camera, authored as OpenUSD."""
