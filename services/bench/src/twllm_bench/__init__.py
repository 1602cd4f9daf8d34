"""Several models through one exam by one recipe, as a service."""

from twllm_bench._bench import BenchRecipe, BenchRun, load_bench_recipe, run_bench

__all__ = ["BenchRecipe", "BenchRun", "load_bench_recipe", "run_bench"]
