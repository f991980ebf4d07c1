#pragma once

#include <inkling/recipe/diffuseq_settings.hpp>
#include <inkling/recipe/state_dict.hpp>

#include <concepts>
#include <string_view>
#include <vector>

namespace inkling::recipe {

namespace detail {

/// Which tensors of an official state_dict are no weights: the places 0, 1, 2 ... that Hugging Face's BERT keeps.
[[nodiscard]] inline bool is_no_weight_of_diffuseq(std::string_view name) { return name == "position_ids"; }

}  // namespace detail

/// Weights of an official DiffuSeq or Bridge: its state_dict, saved as safetensors, laid out for our model.
///
/// @return [P]
/// @throws Error naming the tensors that are missing, of another shape, unequal though shared, or of no use here
template <std::floating_point Real>
[[nodiscard]] std::vector<Real> read_diffuseq_weights(io::Safetensors const& file, nn::ParameterLayout const& layout) {
    return read_state_dict<Real>(file, layout, detail::is_no_weight_of_diffuseq, "inkling::recipe::read_diffuseq_weights");
}

}  // namespace inkling::recipe
