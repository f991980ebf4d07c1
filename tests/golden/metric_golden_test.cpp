#include <inkling/metric/metric.hpp>

#include "golden.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using namespace inkling;
using nlohmann::json;
using Texts = std::vector<std::string>;

namespace {

constexpr double tolerance = 1e-9;           // BLEU, ROUGE and NLTK in double
constexpr double tolerance_of_float = 1e-6;  // torchmetrics computes in float

/// One group of sentences.json.
struct Group {
    Texts hypotheses, references, second_references;
};

std::map<std::string, Group> groups(json const& entry) {
    std::map<std::string, Group> result;
    json const sentences = golden::json(entry.at("sentences"));
    for (auto const& [name, group] : sentences.at("groups").items())
        result[name] = {group.at("hypotheses"), group.at("references"), group.at("second_references")};
    return result;
}

/// The tokenizer and the case that a key such as "13a_lowercase" names.
metric::BleuOptions options_named(std::string key) {
    metric::BleuOptions options;
    if (auto const at = key.find("_lowercase"); at != std::string::npos) {
        options.lowercase = true;
        key.resize(at);
    }
    options.tokenizer = metric::bleu_tokenizer_named(key);
    return options;
}

/// The smoothing that "<method>_<value or None>" names.
void set_smoothing(metric::BleuOptions& options, std::string const& text) {
    auto const cut = text.rfind('_');
    std::map<std::string, metric::BleuSmoothing> const methods{{"none", metric::BleuSmoothing::none},
                                                               {"floor", metric::BleuSmoothing::floor},
                                                               {"add-k", metric::BleuSmoothing::add_k},
                                                               {"exp", metric::BleuSmoothing::exponential}};
    options.smoothing = methods.at(text.substr(0, cut));
    if (text.substr(cut + 1) != "None") options.smoothing_value = std::stod(text.substr(cut + 1));
}

/// "first_tokenizer_smooth_<method>_<value>_effective_<True|False>"
metric::BleuOptions options_of_smoothing_key(std::string key, std::string const& first_tokenizer) {
    std::string const begin = "first_tokenizer_smooth_", middle = "_effective_";
    key.erase(0, begin.size());
    auto const cut = key.find(middle);
    metric::BleuOptions options = options_named(first_tokenizer);
    options.effective_order = key.substr(cut + middle.size()) == "True";
    set_smoothing(options, key.substr(0, cut));
    return options;
}

/// The rows of the table that one file's BLEU scores need.
struct BleuRows {
    golden::Row scores, counts;

    BleuRows(std::string const& file, std::string const& what)
        : scores(file, what + ", score", tolerance), counts(file, what + ", counts, totals, lengths", 0.0) {}

    void add(std::string const& name, metric::BleuScore const& got, json const& want) {
        scores.add(name,
                   golden::worst_relative_error(std::array{got.score}, std::array{want.at("score").get<double>()}));
        scores.add(name,
                   golden::worst_relative_error(got.precisions, want.at("precisions").get<std::vector<double>>()));
        scores.add(
            name,
            golden::worst_relative_error(std::array{got.brevity_penalty}, std::array{want.at("bp").get<double>()}));
        counts.add_exact(name,
                         std::ranges::equal(got.counts, want.at("counts").get<std::vector<double>>())
                             && std::ranges::equal(got.totals, want.at("totals").get<std::vector<double>>())
                             && got.hypothesis_length == want.at("sys_len").get<Index>()
                             && got.reference_length == want.at("ref_len").get<Index>());
    }
};

Texts first(Texts texts, std::size_t count) {
    texts.resize(std::min(count, texts.size()));
    return texts;
}

double mean(std::vector<double> const& values) {
    double sum = 0.0;
    for (double const value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("golden: the tokenizers cut as sacreBLEU's") {
    for (auto const& entry : golden::cases("tokenizers")) {
        std::string const file = entry.at("file");
        json const cases = golden::json(file).at("cases");
        for (auto const& [name, pairs] : cases.items()) {
            golden::Row row(file, "tokenizer " + name, 0.0);
            for (auto const& pair : pairs) {
                std::string const in = pair.at("in");
                row.add_exact(
                    in, metric::tokenize(in, metric::bleu_tokenizer_named(name)) == pair.at("out").get<std::string>());
            }
        }
    }
}

TEST_CASE("golden: BLEU is sacreBLEU's, for corpora and for sentences") {
    for (auto const& entry : golden::cases("bleu")) {
        std::string const file = entry.at("file");
        auto const texts = groups(entry);
        json const all = golden::json(file).at("groups");
        json const sentences = golden::json(entry.at("sentences")).at("groups");
        for (auto const& [name, want] : all.items()) {
            Group const& group = texts.at(name);
            std::string const first_tokenizer = sentences.at(name).at("tokenizers").at(0);

            BleuRows corpus(file, name + " corpus");
            for (auto const& [key, score] : want.at("corpus").items()) {
                auto const options = key.starts_with("first_tokenizer_smooth_")
                    ? options_of_smoothing_key(key, first_tokenizer)
                    : options_named(key);
                corpus.add(key, metric::corpus_bleu(group.hypotheses, group.references, options), score);
            }
            BleuRows two(file, name + " two references");
            for (auto const& [key, score] : want.at("corpus_two_references").items())
                two.add(key,
                        metric::corpus_bleu(group.hypotheses, std::vector{group.references, group.second_references},
                                            options_named(key)),
                        score);
            BleuRows some(file, name + " first sentences");
            for (auto const& [key, score] : want.at("corpus_first_n").items()) {
                auto const count = static_cast<std::size_t>(std::stoul(key));
                some.add(key,
                         metric::corpus_bleu(first(group.hypotheses, count), first(group.references, count),
                                             options_named(first_tokenizer)),
                         score);
            }
            BleuRows single(file, name + " sentences");
            for (auto const& [key, scores] : want.at("sentence").items()) {
                auto options = options_named(key);
                options.effective_order = true;
                CHECK(scores.size() == group.hypotheses.size());
                for (std::size_t i = 0; i < scores.size(); ++i)
                    single.add(key + " " + std::to_string(i),
                               metric::sentence_bleu(group.hypotheses[i], group.references[i], options), scores[i]);
            }
            golden::Row smoothed(file, name + " sentences, smoothed", tolerance);
            for (auto const& [key, scores] : want.at("sentence_smoothing_first_tokenizer").items()) {
                auto options = options_named(first_tokenizer);
                options.effective_order = true;
                set_smoothing(options, key);
                for (std::size_t i = 0; i < scores.size(); ++i)
                    smoothed.add(
                        key + " " + std::to_string(i),
                        golden::worst_relative_error(
                            std::array{metric::sentence_bleu(group.hypotheses[i], group.references[i], options).score},
                            std::array{scores[i].get<double>()}));
            }
        }
    }
}

TEST_CASE("golden: ROUGE is torchmetrics', and by the other rule pltrdy's") {
    for (auto const& entry : golden::cases("rouge_and_nltk")) {
        std::string const file = entry.at("file");
        auto const texts = groups(entry);
        json const all = golden::json(file).at("groups");
        for (auto const& [name, want] : all.items()) {
            Group const& group = texts.at(name);
            auto const add = [](golden::Row& row, metric::RougeScores const& got, json const& wanted) {
                std::size_t seen = 0;
                for (auto const& [key, score] :
                     {std::pair{"rouge1", got.rouge1}, {"rouge2", got.rouge2}, {"rougeL", got.rougeL}})
                    for (auto const& [part, number] : {std::pair{"_precision", score.precision},
                                                       {"_recall", score.recall},
                                                       {"_fmeasure", score.fmeasure}}) {
                        row.add(std::string(key) + part,
                                std::abs(number - wanted.at(std::string(key) + part).get<double>()));
                        ++seen;
                    }
                CHECK(seen == wanted.size());
            };
            golden::Row torch(file, name + " torchmetrics", tolerance_of_float);
            auto const& scores = want.at("rouge_torchmetrics");
            CHECK(scores.size() == group.hypotheses.size());
            for (std::size_t i = 0; i < scores.size(); ++i)
                add(torch, metric::rouge(group.hypotheses[i], group.references[i]), scores[i]);
            add(torch, metric::corpus_rouge(group.hypotheses, group.references), want.at("rouge_torchmetrics_average"));

            golden::Row sets(file, name + " pltrdy", tolerance);
            auto const& others = want.at("rouge_pltrdy");
            for (std::size_t i = 0; i < others.size(); ++i) {
                if (others[i].is_null()) {
                    CHECK_THROWS_AS(metric::rouge_sets(group.hypotheses[i], group.references[i]), Error);
                    continue;
                }
                auto const got = metric::rouge_sets(group.hypotheses[i], group.references[i]);
                for (auto const& [key, score] :
                     {std::pair{"rouge-1", got.rouge1}, {"rouge-2", got.rouge2}, {"rouge-l", got.rougeL}})
                    for (auto const& [part, number] :
                         {std::pair{"p", score.precision}, {"r", score.recall}, {"f", score.fmeasure}})
                        sets.add(std::to_string(i) + " " + key + " " + part,
                                 std::abs(number - others[i].at(key).at(part).get<double>()));
            }
        }
    }
}

TEST_CASE("golden: sentence BLEU of method 4, corpus BLEU and diversity are NLTK's and DiffuSeq's") {
    for (auto const& entry : golden::cases("rouge_and_nltk")) {
        std::string const file = entry.at("file");
        auto const texts = groups(entry);
        json const all = golden::json(file).at("groups");
        for (auto const& [name, want] : all.items()) {
            Group const& group = texts.at(name);
            golden::Row method4(file, name + " method 4", tolerance);
            auto const compare = [&](json const& scores, metric::Method4Bleu const& bleu) {
                CHECK(scores.size() == group.hypotheses.size());
                for (std::size_t i = 0; i < scores.size(); ++i)
                    method4.add(std::to_string(i) + " order " + std::to_string(bleu.order),
                                std::abs(bleu(group.hypotheses[i], group.references[i]) - scores[i].get<double>()));
            };
            compare(want.at("nltk_sentence_bleu_method4"), {});
            for (auto const& [key, scores] : want.at("nltk_sentence_bleu_n_method4").items())
                compare(scores, {.order = static_cast<std::size_t>(std::stoul(key.substr(key.find('-') + 1)))});

            metric::BleuStatistics sum;
            for (std::size_t i = 0; i < group.hypotheses.size(); ++i) {
                std::array<std::string_view, 1> const reference{group.references[i]};
                auto one =
                    metric::bleu_statistics(group.hypotheses[i], reference, {.tokenizer = metric::BleuTokenizer::none});
                for (Index& total : one.totals) total = std::max(Index{1}, total);  // as NLTK counts short hypotheses
                sum += one;
            }
            golden::check(file, name + " corpus BLEU, unsmoothed",
                          std::abs(metric::bleu_score(sum, {.smoothing = metric::BleuSmoothing::none}).score / 100.0
                                   - want.at("nltk_corpus_bleu_unsmoothed").get<double>()),
                          tolerance);

            golden::Row diversity(file, name + " diversity", tolerance);
            auto const& distinct = want.at("distinct_1");
            CHECK(distinct.size() == group.hypotheses.size());
            for (std::size_t i = 0; i < distinct.size(); ++i)
                diversity.add(
                    "distinct-1 " + std::to_string(i),
                    std::abs(metric::distinct_n(std::string_view(group.hypotheses[i]), 1) - distinct[i].get<double>()));
            diversity.add(
                "distinct-4",
                std::abs(metric::distinct_n(group.hypotheses, 4) - want.at("distinct_4_over_set").get<double>()));
            Texts six;
            for (auto const& text : group.hypotheses)
                if (!text.empty() && six.size() < 6) six.push_back(text);
            auto const& of_six = want.at("diversity_of_first_6_nonempty");
            diversity.add("self-BLEU",
                          std::abs(metric::pairwise_similarity(six, metric::Method4Bleu{})
                                   - of_six.at("self_bleu").get<double>()));
            diversity.add("div-4", std::abs(metric::distinct_n(six, 4) - of_six.at("div4").get<double>()));
        }
    }
}

TEST_CASE("golden: candidates are scored against each other as in DiffuSeq, DINOISER and Difformer") {
    for (auto const& entry : golden::cases("mbr")) {
        std::string const file = entry.at("file");
        golden::Row matrices(file, "matrices [hypothesis][reference]", tolerance),
            chosen(file, "chosen candidates", 0.0);
        json const sets = golden::json(file).at("sets");
        for (auto const& set : sets) {
            auto const candidates = set.at("candidates").get<Texts>();
            std::size_t const size = candidates.size();
            /// Checks the matrix of one metric; returns the candidate that is most like the others.
            auto const compare = [&](std::string const& key, auto const& score) {
                std::vector<double> means;
                for (std::size_t i = 0; i < size; ++i) {
                    std::vector<double> row;
                    for (std::size_t j = 0; j < size; ++j)
                        if (j != i) {
                            row.push_back(score(candidates[i], candidates[j]));
                            matrices.add(key,
                                         golden::worst_relative_error(
                                             std::array{row.back()},
                                             std::array{set.at(key).at(i).at(j).template get<double>()}));
                        }
                    means.push_back(mean(row));
                }
                return std::distance(means.begin(), std::ranges::max_element(means));
            };
            auto const method4 = compare("diffuseq_self_bleu_matrix_[hypothesis][reference]", metric::Method4Bleu{});
            chosen.add_exact("DiffuSeq", method4 == set.at("diffuseq_selectBest_index").get<Index>());
            for (std::string const name : {"13a", "intl"}) {
                metric::BleuOptions options = options_named(name);
                auto const best =
                    compare("sacrebleu_matrix_" + name + "_[hypothesis][reference]",
                            [&](std::string const& hypothesis, std::string const& reference) {
                                return metric::corpus_bleu(Texts{hypothesis}, Texts{reference}, options).score;
                            });
                chosen.add_exact("DINOISER " + name, best == set.at("dinoiser_index_" + name).get<Index>());
            }
            std::vector<double> means;  // Difformer: how well the others match this one as their reference
            for (std::size_t i = 0; i < size; ++i) {
                std::vector<double> row;
                for (std::size_t j = 0; j < size; ++j)
                    if (j != i) row.push_back(metric::sentence_bleu(candidates[j], candidates[i]).score);
                means.push_back(mean(row));
            }
            matrices.add(
                "Difformer",
                golden::worst_relative_error(means, set.at("difformer_rule_scores").get<std::vector<double>>()));
            chosen.add_exact("Difformer",
                             std::distance(means.begin(), std::ranges::max_element(means))
                                 == set.at("difformer_rule_index").get<Index>());
        }
    }
}
