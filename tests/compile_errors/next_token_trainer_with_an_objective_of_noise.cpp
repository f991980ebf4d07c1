// expect: objective::CrossEntropy
// expect: a model of the next token has neither
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/autoregressive.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>

using namespace inkling;
using Pipeline = TextAutoregression<embedding::Learned, denoiser::Autoregressive<backend::Cpu<>>>;
/// There is no z0 that an estimate could be compared with.
template class inkling::Trainer<Pipeline, objective::Anchor>;
