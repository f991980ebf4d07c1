// expect: trainer_with_levels_without_draw_time.cpp:22:
// expect: LevelPolicy
// expect: has 'draw_time(state, stream) const'
// expect-gcc: levels.draw_time(state, stream)' is invalid
// expect-clang: no member named 'draw_time' in 'OnTables'
#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>
using namespace inkling;

/// Knows tables alone; what it draws from all of [0, 1] has to be asked too.
struct OnTables {
    struct State {};
    template <Backend B, EmbeddingSpace Space, NoiseSchedule Schedule>
    void follow(State&, nn::Pass<B>&, Space const&, Schedule const&, Index) const {}
    Index draw_step(State const&, schedule::Discrete const& table, RandomStream const& stream) const {
        return static_cast<Index>(stream.below(static_cast<std::uint64_t>(table.steps()), 0));
    }
};

using Writer =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;
using Broken = Trainer<Writer, objective::Anchor, train::InverseSquareRoot, OnTables>;
