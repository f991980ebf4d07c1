// expect: guidance_of_a_denoiser_without_rows_of_its_condition.cpp:9:
// expect: joins_source
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/guidance/classifier_free.hpp>

using namespace inkling;

using Guided = guidance::ClassifierFree<denoiser::EncoderDecoder<backend::Cpu<>>>;
