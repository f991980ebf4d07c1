// expect: pipeline_with_a_sampler_whose_plan_is_none.cpp:22:
// expect: Sampler
// expect: and it returns a sampler::Plan
// expect-gcc: s.plan(schedule)' does not satisfy return-type-requirement
// expect-clang: because type constraint 'std::same_as<double, 
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/schedule/sqrt.hpp>

/// Says where it would begin, and not how to go on.
struct Beginner {
    template <inkling::NoiseSchedule Schedule>
    double plan(Schedule const& schedule) const {
        return schedule.alpha_bar(1.0);
    }
};

using namespace inkling;
using Broken =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, Beginner>;
