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
#include "worker/last_words.h"

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

static struct worker_state	*state;	/* NULL: nowhere to write to */
static uint32_t			 outputs;
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
leave(const struct text *text)
{
	if (state != NULL)
		memcpy(state->last_words, text->buffer,
		    sizeof(state->last_words));
}

/* Where everybody stood: positions in the ring. */
static void
add_cursors(struct text *text)
{
	const struct ingest_state *ingest = ingest_current(&state->ingest);
	uint32_t i;

	add_number(text, "; batch ", ingest->batch, 10);
	add_number(text, ", head ", ingest->head, 10);
	for (i = 0; i < outputs; i++)
		add_number(text, i == 0 ? ", outputs " : " ",
		    output_current(&state->output[i])->position, 10);
	add_number(text, ", archive ",
	    archive_current(&state->archive)->position, 10);
}

static void
on_signal(int number, siginfo_t *info, void *context ATTR_UNUSED)
{
	static const struct text empty;
	struct text text = empty;
	size_t i;

	if (number == SIGBUS && info->si_code > 0 && forgives != NULL &&
	    forgives(info->si_addr))
		return;
	signal(number, SIG_DFL);
	if (note_fault != NULL && (info->si_code > 0 ||
	    info->si_pid == getpid()))
		note_fault();
	for (i = 0; i < NITEMS(signals); i++)
		if (signals[i].number == number)
			add(&text, signals[i].name);
	if (info->si_code <= 0)
		add_number(&text, " from process ",
		    (uint64_t)info->si_pid, 10);
	else
		add_number(&text, " at address 0x",
		    (uint64_t)(uintptr_t)info->si_addr, 16);
	if (state != NULL)
		add_cursors(&text);
	leave(&text);
	/* On return this ends the process. */
	raise(number);
}

void
last_words_init(const struct segment *segment)
{
	struct sigaction action = {.sa_sigaction = on_signal,
	    .sa_flags = SA_SIGINFO | SA_ONSTACK};
	size_t i;

	state = segment->state;
	outputs = MIN_OF(segment->config->outputs, (uint32_t)OUTPUTS_MAX);
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
	leave(&text);
}
