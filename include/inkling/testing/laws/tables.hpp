#pragma once

#include <inkling/testing/laws/support.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace inkling::testing::laws {

template <Backend B>
[[nodiscard]] std::string copies_keep_every_bit(B& device) {
    auto const values = random<B>(1000, 1);
    DeviceArray<B> from(device, values);
    DeviceArray<B> to(device, random<B>(1000, 2));
    copy(device, static_cast<ScalarOf<B> const*>(from.data()), to.data(), 1000);
    auto found = not_same("copy", to.get(device), values);
    if (!found.empty()) return found;
    clear(device, to.data() + 1, 998);
    auto const cleared = to.get(device);
    std::vector<ScalarOf<B>> want(1000);
    want.front() = values.front();
    want.back() = values.back();
    clear(device, static_cast<ScalarOf<B>*>(nullptr), 0);  // nothing is a fine amount
    return not_same("clear", cleared, want);
}

template <Backend B>
[[nodiscard]] std::string gather_reads_rows_and_scatter_add_is_its_transpose(B& device) {
    using Real = ScalarOf<B>;
    Index const vocabulary = 6, cols = 70;
    std::vector<Token> named{5, 0, 3, 3, 3, 0};  // 1, 2 and 4 stay untouched
    for (Token i = 0; i < 400; ++i) named.push_back(i % 7 == 0 ? 0 : i % 3 == 0 ? 5 : 3);
    auto const count = static_cast<Index>(named.size());
    DeviceArray<B, Token> const tokens(device, named);
    auto const t = random<B>(vocabulary * cols, 1), x = random<B>(count * cols, 2);
    Padded<B> table(device, t, cols, 3), rows(device, x, cols, 1), dtable(device, t, cols, 2), skipped(device, t, cols);
    std::vector<double> want, added, spread(exact(t)), without(exact(t));
    for (std::size_t i = 0; i < x.size(); ++i) {
        auto const token = static_cast<std::size_t>(named[i / static_cast<std::size_t>(cols)]);
        std::size_t const at = token * static_cast<std::size_t>(cols) + i % static_cast<std::size_t>(cols);
        want.push_back(static_cast<double>(Real{2.5} * t[at]));
        added.push_back(static_cast<double>(x[i]) + 2.5 * static_cast<double>(t[at]));
        spread[at] += 2.5 * static_cast<double>(x[i]);
        if (token != 3) without[at] += 2.5 * static_cast<double>(x[i]);
    }
    Padded<B> out(device, x, cols, 2);
    gather(device, table.view(), tokens.vector(), Real{2.5}, out.view());
    auto const got = out.get(device);
    scatter_add(device, rows.view(), tokens.vector(), Real{2.5}, dtable.view());
    scatter_add(device, rows.view(), tokens.vector(), Real{2.5}, skipped.view(), 3);
    gather(device, table.view(), tokens.vector(), Real{2.5}, rows.view(), true);
    double const rounding = 64 * unit<B>(), sums = rounding * static_cast<double>(count);
    return first_of({far_apart("gather", got, want, {0.0}),
                     far_apart("gather, accumulate", rows.get(device), added, {rounding}),
                     far_apart("scatter_add", dtable.get(device), spread, {sums}),
                     far_apart("scatter_add but one token", skipped.get(device), without, {sums})});
}

}  // namespace inkling::testing::laws
