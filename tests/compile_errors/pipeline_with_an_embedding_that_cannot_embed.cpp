// expect: pipeline_with_an_embedding_that_cannot_embed.cpp:26:
// expect: EmbeddingSpaceOn
// expect: has 'embed(pass, tokens, z0) const'
// expect-gcc: space.embed(pass, tokens, z0)' is invalid
// expect-clang: no member named 'embed' in 'Silent'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

struct Silent {
    struct Options {};
    template <class B>
    struct Saved {};
    Silent(inkling::nn::ParameterLayout&, inkling::Index, Options) {}
    inkling::Index width() const { return 8; }
    inkling::Index vocabulary() const { return 8; }
    double scale() const { return 1.0; }
    inkling::nn::Parameter table() const { return {}; }
    inkling::nn::Parameter readout() const { return {}; }
};

using namespace inkling;
using Model = denoiser::Empirical<backend::Cpu<>>;
using Broken = TextDiffusion<schedule::Sqrt, Silent, Model, sampler::Ddim>;
