// An objective of your own: a published one, and a term that keeps the embeddings close to the origin, so that noise
// can cover them (the prior term of Diffusion-LM). Written once, it trains on every backend.
//
// ctest: the prior made it smaller

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <iostream>

using namespace inkling;

// [objective]
struct AnchorAndPrior {
    objective::Anchor anchor{};
    double prior_weight = 1.0;

    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, objective::Prediction<B> const& prediction,
                  objective::Losses<B>& losses) const {
        anchor.evaluate(pass, space, prediction, losses);
        double const share = 1.0 / static_cast<double>(prediction.z0.size());         // mean over [N, D]
        double* const sum = losses.add({{"prior", 0.0, prior_weight}}, share);        // value = share * sum
        auto const origin = pass.take_zeros(prediction.z0.rows, prediction.z0.cols);  // [N, D]
        squared_error(pass.device, prediction.z0, origin, prior_weight * share, sum, prediction.dz0);  // and gradient
    }
};
// [/objective]

using Model =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddim>;

/// The mean square of the embeddings' elements after a short training.
double prior_after_training(double prior_weight) {
    std::vector<std::string> const lines{"one two three", "two four six eight", "three two one", "eight six four two"};
    text::MemoryLines words{lines}, sources{lines}, targets{lines};
    auto const tokenizer = text::WordTokenizer::train(words);
    auto const corpus = text::read_parallel(sources, targets, tokenizer).corpus;
    Model model(tokenizer,
                {.embedding = {.width = 16, .standard_deviation = 0.25},
                 .denoiser = {.width = 32, .layers = 1, .heads = 2, .longest_source = 8, .longest_target = 8}});
    double prior = 0.0;
    Trainer<Model, AnchorAndPrior> trainer(model,
                                           {.steps = 200,
                                            .objective = {.prior_weight = prior_weight},
                                            .learning_rate = {.peak = 3e-3, .warm_up = 20},
                                            .on_progress = [&](train::Progress const& progress) {
                                                for (auto const& term : progress.losses)
                                                    if (term.name == "prior") prior = term.value;
                                            }});
    trainer.fit(corpus);
    return prior;
}

int main() {
    double const without = prior_after_training(0.0), with = prior_after_training(1.0);
    std::cout << "mean square of z0 after training: " << without << " without the prior term, " << with << " with it\n";
    if (with < without) std::cout << "the prior made it smaller\n";
}
