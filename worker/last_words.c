/* SPDX-License-Identifier: ISC */
/*
 * Last words.  Worker, any thread.  What the handlers call must be safe in a
 * signal handler: no printf, no lock, no allocation.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/segment.h"
#include "worker/last_words.h"
#include "worker/whose.h"

#define STACK_SIZE	(32U * 1024)

static const struct {
	int		 number;
	const char	*name;
} signals[] = {
	{SIGSEGV, "SIGSEGV"},
	{SIGBUS, "SIGBUS"},
	{SIGILL, "SIGILL"},
	{SIGFPE, "SIGFPE"},
	{SIGABRT, "SIGABRT"},
};

static void			(*note_fault)(void);
static bool			(*forgives)(const void *address);

/* A text in the making; what does not fit is left out. */
struct text {
	char	buffer[LAST_WORDS_SIZE];
	size_t	length;
};

static void
add(struct text *text, const char *more)
{
	while (*more != '\0' && text->length < sizeof(text->buffer) - 1)
		text->buffer[text->length++] = *more++;
}

static void
add_number(struct text *text, const char *label, uint64_t number,
    unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number != 0);
	add(text, label);
	add(text, digits + at);
}

static void
leave(struct worker_state *state, const struct text *text)
{
	memcpy(state->last_words, text->buffer, sizeof(state->last_words));
}

/* Where everybody stood: positions in the ring. */
static void
add_cursors(struct text *text, const struct whose *whose)
{
	const struct worker_state *state = whose->state;
	const struct ingest_state *ingest = ingest_current(&state->ingest);
	uint32_t i;

	add_number(text, "; batch ", ingest->batch, 10);
	add_number(text, ", head ", ingest->head, 10);
	for (i = 0; i < whose->outputs; i++)
		add_number(text, i == 0 ? ", outputs " : " ",
		    output_current(&state->output[i])->position, 10);
	add_number(text, ", archive ",
	    archive_current(&state->archive)->position, 10);
}

static void
add_signal(struct text *text, int number, const siginfo_t *info)
{
	size_t i;

	for (i = 0; i < NITEMS(signals); i++)
		if (signals[i].number == number)
			add(text, signals[i].name);
	if (info->si_code <= 0)
		add_number(text, " from process ",
		    (uint64_t)info->si_pid, 10);
	else
		add_number(text, " at address 0x",
		    (uint64_t)(uintptr_t)info->si_addr, 16);
}

/* Each channel of the process is told whose work it ended at. */
static void
leave_all(const struct text *signal, const struct whose *culprit)
{
	struct whose *whose;
	struct text text;
	unsigned i;

	for (i = 0; i < WHOSE_MAX; i++) {
		if ((whose = whose_at(i)) == NULL)
			continue;
		text = *signal;
		if (culprit == NULL || whose == culprit)
			add_cursors(&text, whose);
		else {
			add(&text, ", in what it did for channel ");
			add(&text, culprit->name);
		}
		leave(whose->state, &text);
	}
}

/* Of a signal from outside any thread is the one that it comes to. */
static struct whose *
find_culprit(bool own)
{
	struct whose *whose = whose_entered();

	return whose != NULL && own ? whose : whose_in_loop();
}

static void
on_signal(int number, siginfo_t *info, void *context ATTR_UNUSED)
{
	static const struct text empty;
	bool own = info->si_code > 0 || info->si_pid == getpid();
	struct text text = empty;
	struct whose *culprit;

	if (number == SIGBUS && info->si_code > 0 && forgives != NULL &&
	    forgives(info->si_addr))
		return;
	signal(number, SIG_DFL);
	if (note_fault != NULL && own)
		note_fault();
	culprit = find_culprit(own);
	if (culprit != NULL)
		atomic_fetch_add_explicit(&culprit->state->faults, 1,
		    memory_order_relaxed);
	add_signal(&text, number, info);
	leave_all(&text, culprit);
	/* On return this ends the process. */
	raise(number);
}

void
last_words_init(void)
{
	struct sigaction action = {.sa_sigaction = on_signal,
	    .sa_flags = SA_SIGINFO | SA_ONSTACK};
	size_t i;

	for (i = 0; i < NITEMS(signals); i++)
		sigaction(signals[i].number, &action, NULL);
}

void
last_words_thread(void)
{
	static _Thread_local uint8_t memory[STACK_SIZE] ATTR_ALIGNED(16);
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)}, before;

	/* AddressSanitizer gives each thread one, and takes it back. */
	if (sigaltstack(NULL, &before) == 0 &&
	    (before.ss_flags & SS_DISABLE) != 0)
		(void)sigaltstack(&stack, NULL);
}

void
last_words_let_through(sigset_t *set)
{
	size_t i;

	for (i = 0; i < NITEMS(signals); i++)
		sigdelset(set, signals[i].number);
}

void
last_words_note(void (*note)(void))
{
	note_fault = note;
}

void
last_words_forgive(bool (*forgive)(const void *address))
{
	forgives = forgive;
}

void
last_words(const char *fmt, ...)
{
	struct text text;
	va_list ap;

	memset(&text, 0, sizeof(text));
	va_start(ap, fmt);
	vsnprintf(text.buffer, sizeof(text.buffer), fmt, ap);
	va_end(ap);
	log_warnx("%s", text.buffer);
	if (whose_entered() != NULL)
		leave(whose_entered()->state, &text);
}
