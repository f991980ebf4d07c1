// expect: argument 4 learns from losses of sentences
// expect: losses.add_rows
#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>
using namespace inkling;

/// Says what a batch loses, and not what each of its rows does.
struct Squares {
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const&, objective::Prediction<B> const& prediction,
                  objective::Losses<B>& losses) const {
        double const share = 1.0 / static_cast<double>(prediction.z0.size());
        squared_error(pass.device, prediction.z0_hat, prediction.z0, share, losses.add({{"squares", 0.0, 1.0}}, share),
                      prediction.dz0_hat, prediction.dz0);
    }
};

using Writer =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;
template class inkling::Trainer<Writer, Squares, train::InverseSquareRoot, objective::LossAwareLevels>;
