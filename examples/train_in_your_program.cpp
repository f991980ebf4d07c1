// Training inside a program of your own: pairs of sentences made on the spot, a listener that watches the loss, and a
// std::stop_token that ends the training once it is good enough.
//
// ctest: stopped after [0-9]+ updates; .le petit chat.

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <iostream>

using namespace inkling;

using Translator = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                                 denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;

int main() {
    std::vector<std::string> english, french;
    for (auto const& [adjective, adjectif] : {std::pair{"small", "petit"}, {"big", "grand"}, {"old", "vieux"}})
        for (auto const& [noun, nom] :
             {std::pair{"cat", "chat"}, {"dog", "chien"}, {"bird", "oiseau"}, {"wolf", "loup"}})
            for (auto const& [verb, verbe] : {std::pair{"sleeps", "dort"}, {"eats", "mange"}, {"sings", "chante"}}) {
                english.push_back(message("the ", adjective, " ", noun, " ", verb));
                french.push_back(message("le ", adjectif, " ", nom, " ", verbe));
            }
    std::vector<std::string> both = english;
    both.insert(both.end(), french.begin(), french.end());
    text::MemoryLines words{both}, sources{english}, targets{french};
    auto const tokenizer = text::WordTokenizer::train(words);
    auto const corpus = text::read_parallel(sources, targets, tokenizer).corpus;

    // [train]
    Translator translator(
        tokenizer,
        {.schedule = {.training_noise = 4.0},
         .embedding = {.width = 32},
         .denoiser = {.width = 64, .layers = 2, .dropout = 0.0, .longest_source = 8, .longest_target = 8},
         .sampler = {.steps = 10}});
    std::stop_source enough;
    double smooth = 10.0;
    Trainer<Translator> trainer(translator,
                                {.steps = 1000,
                                 .objective = {.label_smoothing = 0.0},
                                 .learning_rate = {.peak = 2e-3, .warm_up = 50},
                                 .tokens_per_batch = 256,
                                 .stop = enough.get_token(),
                                 .on_progress = [&](train::Progress const& now) {
                                     double const loss = now.losses.front().value;  // its terms come behind it
                                     smooth += 0.05 * (loss - smooth);
                                     if (now.step % 20 == 0)
                                         std::cout << "update " << now.step << ", loss " << smooth << '\n';
                                     if (smooth < 0.3) enough.request_stop();
                                 }});
    auto const report = trainer.fit(corpus);
    // [/train]

    std::vector<std::string> const questions{"the small cat sings"};
    std::cout << "stopped after " << report.steps << " updates; '" << translator.generate(questions).front() << "'\n";
}
