#pragma once

#include <inkling/testing/laws/attention.hpp>
#include <inkling/testing/laws/batches.hpp>
#include <inkling/testing/laws/elementwise.hpp>
#include <inkling/testing/laws/products.hpp>
#include <inkling/testing/laws/random.hpp>
#include <inkling/testing/laws/readout.hpp>
#include <inkling/testing/laws/sums.hpp>
#include <inkling/testing/laws/tables.hpp>
#include <inkling/testing/laws/updates.hpp>

#include <string>
#include <vector>

namespace inkling::testing {

/// One promise of the backend's verbs: what it says, and a test that gives an empty text where it is kept, else what
/// was seen and expected. It throws Error where a verb wrote between or behind the rows it was given.
template <Backend B>
struct BackendLaw {
    char const* name;
    std::string (*broken)(B& device);
};

/// What every backend promises, whatever it runs on: formulas within derived rounding errors, rows that do not depend
/// on their neighbours, strides respected. Run each, and expect an empty text:
///
///     for (auto const& law : testing::backend_laws<MyBackend>()) { CAPTURE(law.name); CHECK(law.broken(device) == ""); }
template <Backend B>
[[nodiscard]] std::vector<BackendLaw<B>> backend_laws() {
    return {
        {"copies keep every bit", laws::copies_keep_every_bit<B>},
        {"product is the naive sum", laws::product_is_the_naive_sum<B>},
        {"product of no terms is the bias", laws::product_of_no_terms_is_the_bias<B>},
        {"a row of a product does not depend on the others", laws::product_row_does_not_depend_on_the_others<B>},
        {"an activated product is its parts", laws::an_activated_product_is_its_parts<B>},
        {"add and scale are element by element", laws::add_and_scale_are_element_by_element<B>},
        {"activations are their formulas", laws::activations_are_their_formulas<B>},
        {"combine weighs each sentence by its own coefficients",
         laws::combine_weighs_each_sentence_by_its_own_coefficients<B>},
        {"time features are cosines, then sines", laws::time_features_are_cosines_then_sines<B>},
        {"Fourier features are sines, then cosines", laws::fourier_features_are_sines_then_cosines<B>},
        {"sentence verbs sum, spread and average over rows", laws::sentence_verbs_sum_spread_and_average_over_rows<B>},
        {"layer norm has mean 0 and variance 1", laws::layer_norm_has_mean_0_and_variance_1<B>},
        {"normalized rows have one length, and the gradient across it",
         laws::normalized_rows_have_one_length_and_the_gradient_across_it<B>},
        {"sums and errors are their formulas", laws::sums_and_errors_are_their_formulas<B>},
        {"gather reads rows, and scatter_add is its transpose",
         laws::gather_reads_rows_and_scatter_add_is_its_transpose<B>},
        {"read-out cross-entropy is its formula", laws::readout_cross_entropy_is_its_formula<B>},
        {"read-out divergence is its formula", laws::readout_divergence_is_its_formula<B>},
        {"weights of a read-out count its rows", laws::weights_of_a_readout_count_its_rows<B>},
        {"weighted rows and cosines are their formulas", laws::weighted_rows_and_cosines_are_their_formulas<B>},
        {"bent errors are squares near 0 and lines beyond", laws::bent_errors_are_squares_near_0_and_lines_beyond<B>},
        {"a nearly certain token has a small loss", laws::a_nearly_certain_token_has_a_small_loss<B>},
        {"the nearest other row is not the row itself", laws::the_nearest_other_row_is_not_the_row_itself<B>},
        {"read-out argmax names the most probable token", laws::readout_argmax_names_the_most_probable_token<B>},
        {"read-out top names the most probable tokens", laws::readout_top_names_the_most_probable_tokens<B>},
        {"attention is its formula over ragged batches", laws::attention_is_its_formula_over_ragged_batches<B>},
        {"causal rows see no later row", laws::causal_rows_see_no_later_row<B>},
        {"attention by distance is its formula", laws::attention_by_distance_is_its_formula<B>},
        {"a batch gives the bits of its sentences alone", laws::a_batch_gives_the_bits_of_its_sentences_alone<B>},
        {"fill_normal draws what the stream says", laws::fill_normal_draws_what_the_stream_says<B>},
        {"dropout keeps its share, and draws the same mask again",
         laws::dropout_keeps_its_share_and_draws_the_same_mask_again<B>},
        {"a fused residual is its parts", laws::a_fused_residual_is_its_parts<B>},
        {"Adam's step and averages are their formulas", laws::adam_step_and_average_are_their_formulas<B>},
    };
}

}  // namespace inkling::testing
