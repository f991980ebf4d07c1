#pragma once

#include <inkling/core/error.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/nn/parameters.hpp>

#include <concepts>
#include <type_traits>

namespace inkling::denoiser {

/// Of what a network says, and of the network.
template <class Options>
struct ParameterizedOptions {
    Options base{};
    Output output = Output::velocity;  ///< z0, noise, velocity or score
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires requires(Options& options) {
        requires std::same_as<std::remove_const_t<Options>,
                              ParameterizedOptions<std::remove_const_t<decltype(options.base)>>>;
    }
void describe(Options& options, Visit const& visit) {
    visit("base", options.base);
    visit("output", options.output, {"z0", "noise", "velocity", "score"});
}

/// A denoiser whose network says the noise, the velocity or the score in place of z0: the same network, with the same
/// weights under the same names, of which loops and losses make z0_hat (see to_estimate).
///
///     denoiser::Parameterized<denoiser::EncoderDecoder<B>>     // v, or with {.output = Output::noise} epsilon
///
/// Pure noise tells nothing of z0 where noise or score are said: schedules and levels must not reach alpha_bar = 0 then,
/// or the loop or the update that meets it throws.
/// Source: Ho et al. 2020, arXiv:2006.11239, section 3.2 (noise); Salimans & Ho 2022, arXiv:2202.00512, section 4
/// (velocity).
/// @tparam Base  a trainable denoiser that says z0: EncoderDecoder, EncoderOnly or Infiller
template <TrainableDenoiser Base>
    requires(!requires(Base const& denoiser) { denoiser.output(); })
class Parameterized : public Base {
public:
    using Options = ParameterizedOptions<typename Base::Options>;

    /// @param over  what Base takes behind its options
    /// @throws Error for a mixed output, for which Base has no columns, and as Base does
    template <class... Over>
        requires std::constructible_from<Base, nn::ParameterLayout&, typename Base::Options const&, Over const&...>
    Parameterized(nn::ParameterLayout& layout, Options const& options, Over const&... over)
        : Base(layout, checked(options).base, over...), output_(options.output) {}

    /// What `predict` writes.
    [[nodiscard]] Output output() const { return output_; }

private:
    [[nodiscard]] static Options const& checked(Options const& options) {
        require(options.output != Output::mixed,
                "inkling::denoiser::Parameterized: output is mixed, expected z0, noise, velocity or score, which have "
                "the columns of z0");
        return options;
    }

    Output output_;
};

}  // namespace inkling::denoiser
