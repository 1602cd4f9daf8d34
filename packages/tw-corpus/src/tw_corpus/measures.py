"""Measures of your own in a recipe: what a plug-in is, how it finds its files, and the two that ship.

A recipe names plug-ins under `measures`; `PluginMeasure` says how. Importing this module imports neither kenlm nor
fasttext.
"""

from tw_corpus._fasttext import FastTextProbability
from tw_corpus._kenlm import KenlmPerplexity
from tw_corpus._plugin_measure import OptionValue, PluginMeasure
from tw_corpus._plugins import MeasureFactory, TextMeasure
from tw_corpus._resources import local_path
from tw_corpus._spaced import spaced_characters

__all__ = [
    "FastTextProbability",
    "KenlmPerplexity",
    "MeasureFactory",
    "OptionValue",
    "PluginMeasure",
    "TextMeasure",
    "local_path",
    "spaced_characters",
]
