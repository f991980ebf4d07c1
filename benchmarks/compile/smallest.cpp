// The smallest program that loads a model and writes text; measure.sh compiles it.

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <iostream>
#include <string>
#include <vector>

using namespace inkling;
using Model =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;

int main() {
    auto const model = Model::load<text::WordTokenizer>("model.inkling");
    for (std::string line; std::getline(std::cin, line);)
        std::cout << model.generate(std::vector<std::string>{line})[0] << '\n';
}
