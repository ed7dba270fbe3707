from .background import next_nearest as next_nearest
from .blocks import Blocks as Blocks
from .blocks import Form as Form
from .blocks import Gates as Gates
from .blocks import Limits as Limits
from .blocks import MendedReads as MendedReads
from .blocks import SampledReads as SampledReads
from .board import Copies as Copies
from .bounding import bound_rows as bound_rows
from .centred import (
    centred_couplers as centred_couplers,
)
from .centred import (
    centred_linear as centred_linear,
)
from .centred import (
    kept_errors as kept_errors,
)
from .centred import (
    layer_couplers as layer_couplers,
)
from .centred import (
    row_outputs as row_outputs,
)
from .certify import RelaxedRows as RelaxedRows
from .certify import certify_rows as certify_rows
from .chains import chain_bounds as chain_bounds
from .chains import outside_couplings as outside_couplings
from .chances import Chances as Chances
from .chances import Temperatures as Temperatures
from .chances import block_chances as block_chances
from .chances import step_chances as step_chances
from .check import whole_copies as whole_copies
from .coefficients import (
    count_pairs as count_pairs,
)
from .coefficients import (
    distance_coefficients as distance_coefficients,
)
from .coefficients import (
    output_couplers as output_couplers,
)
from .coefficients import (
    output_linear as output_linear,
)
from .coefficients import (
    redundancy_couplers as redundancy_couplers,
)
from .coefficients import (
    selection_couplers as selection_couplers,
)
from .coefficients import (
    selection_into as selection_into,
)
from .columns import (
    ascending as ascending,
)
from .columns import (
    entries_among as entries_among,
)
from .columns import (
    rows_are_good as rows_are_good,
)
from .components import connected_components as connected_components
from .counted import BitReads as BitReads
from .counted import CountBlocks as CountBlocks
from .counted import mend_counts as mend_counts
from .couplers import ChangedRows as ChangedRows
from .couplers import (
    compress_rows as compress_rows,
)
from .couplers import (
    drop_couplers as drop_couplers,
)
from .forms import (
    add_couplers as add_couplers,
)
from .forms import (
    collect_couplers as collect_couplers,
)
from .forms import (
    disjoint_squares as disjoint_squares,
)
from .forms import (
    fixed_terms as fixed_terms,
)
from .forms import (
    ising_fields as ising_fields,
)
from .forms import (
    quadratic_energies as quadratic_energies,
)
from .forms import (
    squared_fields as squared_fields,
)
from .forms import (
    squares_on as squares_on,
)
from .forms import (
    terms_among as terms_among,
)
from .forms import (
    terms_are_good as terms_are_good,
)
from .gram import (
    gram_couplers as gram_couplers,
)
from .gram import (
    gram_matrices as gram_matrices,
)
from .integers import (
    binary_table as binary_table,
)
from .integers import (
    common_steps as common_steps,
)
from .integers import (
    compare_tables as compare_tables,
)
from .integers import (
    rounding_errors as rounding_errors,
)
from .leveled import LeveledColumns as LeveledColumns
from .leveled import certify_leveled as certify_leveled
from .leveled_form import ChosenEntries as ChosenEntries
from .leveled_form import LeveledEntries as LeveledEntries
from .leveled_form import LeveledTerms as LeveledTerms
from .leveled_form import leveled_couplers as leveled_couplers
from .leveled_form import leveled_fields as leveled_fields
from .lowest import LowestStates as LowestStates
from .lowest import WeighedBits as WeighedBits
from .lowest import lowest_states as lowest_states
from .mending import mend_clique as mend_clique
from .order import heaviest as heaviest
from .order import lost_shares as lost_shares
from .order import sums_before as sums_before
from .packing import Kinds as Kinds
from .packing import Search as Search
from .packing import Tiles as Tiles
from .packing import pack_tiles as pack_tiles
from .paths import carve_paths as carve_paths
from .physical import Shares as Shares
from .physical import fill_physical as fill_physical
from .physical import place_values as place_values
from .planning import match_couplers as match_couplers
from .ranges import range_shares as range_shares
from .ratios import LeastRatios as LeastRatios
from .ratios import least_ratios as least_ratios
from .regrowing import regrow_clique as regrow_clique
from .repairing import mend_reads as mend_reads
from .rerouting import reroute as reroute
from .rows import (
    Adjacency as Adjacency,
)
from .rows import (
    CountRows as CountRows,
)
from .rows import (
    adjacency as adjacency,
)
from .rows import (
    dominated_keys as dominated_keys,
)
from .rows import (
    plain_counts as plain_counts,
)
from .rows import (
    swap_costs as swap_costs,
)
from .searching import Minorants as Minorants
from .searching import OptionRows as OptionRows
from .searching import SearchedRows as SearchedRows
from .searching import search_rows as search_rows
from .settling import settle_bits as settle_bits
from .spread import spread_terms as spread_terms
from .steps import FEW_BITS as FEW_BITS
from .steps import FEW_KEPT as FEW_KEPT
from .steps import step_costs as step_costs
from .steps import step_costs_of_few as step_costs_of_few
from .swapping import SwappedBlocks as SwappedBlocks
from .swapping import swap_blocks as swap_blocks
from .tied import TiedRows as TiedRows
from .tied import tied_couplers as tied_couplers
from .tiles import LatticeTable as LatticeTable
from .unembedding import Chains as Chains
from .unembedding import SpinModel as SpinModel
from .unembedding import (
    chain_votes as chain_votes,
)
from .unembedding import (
    descend_breaks as descend_breaks,
)
from .unembedding import (
    spin_energies as spin_energies,
)
from .unembedding import (
    unembed_majority as unembed_majority,
)
from .warm import Proofs as Proofs
from .warm import Warmth as Warmth
from .warm import WarmWeights as WarmWeights
from .warm import warm_weights as warm_weights
