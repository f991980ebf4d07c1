#pragma once

#include <inkling/core/error.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <mutex>
#include <system_error>

#include <signal.h>

namespace inkling::train {

namespace detail {

/// The signals that ask a program to end: from the keyboard, and from the system or a job scheduler.
inline constexpr std::array<int, 2> stop_signals{SIGINT, SIGTERM};

/// What InterruptGuard keeps for the whole process: a signal handler can reach nothing else.
struct SignalState {
    std::atomic<int> received{0};  ///< the signal that came, or 0
    std::mutex mutex{};            ///< of the two below; the handler touches neither
    int guards = 0;
    std::array<struct ::sigaction, stop_signals.size()> previous{};
};
static_assert(std::atomic<int>::is_always_lock_free,
              "inkling::train::InterruptGuard: a signal handler needs a lock-free flag");

inline SignalState signal_state;

/// Notes the signal, and gives the system's own behaviour back, so that the next one ends the program.
extern "C" inline void inkling_train_note_signal(int number) {
    int const kept = errno;
    signal_state.received.store(number, std::memory_order_relaxed);
    struct ::sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int const signal : stop_signals) (void)::sigaction(signal, &standard, nullptr);  // may be called in a handler
    errno = kept;
}

}  // namespace detail

/// Turns SIGINT and SIGTERM into a question, for as long as it lives: training can then end between two steps, with a
/// checkpoint written.
///
/// The first signal only sets a flag; the second one has its usual effect, so a program that is stuck can still be
/// ended. Once the last guard is gone, the handlers are as they were before the first. Signals belong to the process:
/// this is the only part of the library with a process-wide variable (one lock-free atomic, as a handler may touch
/// nothing else), and it does nothing unless it is constructed. Several guards at once share the flag. Signals that
/// were ignored before are taken too.
class InterruptGuard {
public:
    /// Installs the handlers, unless another guard has. @throws Error when the system refuses
    InterruptGuard() {
        auto& state = detail::signal_state;
        std::lock_guard const lock(state.mutex);
        if (state.guards == 0) {
            state.received.store(0, std::memory_order_relaxed);
            struct ::sigaction own {};
            own.sa_handler = detail::inkling_train_note_signal;
            own.sa_flags = SA_RESTART;
            ::sigemptyset(&own.sa_mask);
            for (int const signal : detail::stop_signals) ::sigaddset(&own.sa_mask, signal);
            for (std::size_t i = 0; i < detail::stop_signals.size(); ++i)
                if (::sigaction(detail::stop_signals[i], &own, &state.previous[i]) != 0) {
                    int const reason = errno;
                    while (i-- > 0) (void)::sigaction(detail::stop_signals[i], &state.previous[i], nullptr);
                    fail("inkling::train::InterruptGuard: cannot install a signal handler: ",
                         std::generic_category().message(reason));
                }
        }
        ++state.guards;
    }
    InterruptGuard(InterruptGuard const&) = delete;
    InterruptGuard& operator=(InterruptGuard const&) = delete;
    ~InterruptGuard() {
        auto& state = detail::signal_state;
        std::lock_guard const lock(state.mutex);
        if (--state.guards > 0) return;
        for (std::size_t i = 0; i < detail::stop_signals.size(); ++i)
            (void)::sigaction(detail::stop_signals[i], &state.previous[i], nullptr);
    }

    /// @return whether a signal has come since the first guard was made
    [[nodiscard]] bool requested() const { return signal() != 0; }
    /// @return SIGINT, SIGTERM, or 0 when none has come
    [[nodiscard]] int signal() const { return detail::signal_state.received.load(std::memory_order_relaxed); }
};

}  // namespace inkling::train
