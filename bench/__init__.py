"""The suite behind `palio bench`: one file per hot path, measured beside a yard-stick in the same run.

Owns how speed is measured and what is promised; never part of the wheel, and never imported by the product.
"""
