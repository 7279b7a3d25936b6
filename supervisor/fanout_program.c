/* SPDX-License-Identifier: ISC */
/*
 * The program by which the kernel chooses a socket.  See fanout.h.  Supervisor
 * only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/fanout_priv.h"

/* Where the source begins in the headers of IPv4 and IPv6. */
#define SOURCE_V4	12U
#define SOURCE_V6	8U

#define WORDS		4U	/* of an address, as in struct source_prefix */

/* 2^32 divided by the golden ratio, odd. */
#define GOLDEN		0x9e3779b1U

static void
put(struct fanout_program *program, unsigned code, uint32_t k, unsigned other)
{
	program->code[program->length++] = (struct sock_filter){
	    .code = (uint16_t)code, .jf = (uint8_t)other, .k = k};
}

/* The first of the words that a source of this family has. */
static unsigned
first_word(const struct fanout_program *program)
{
	return program->family == AF_INET6 ? 0 : WORDS - 1;
}

/* They are read once: each read is a call in the kernel. */
void
fanout_program_begin(struct fanout_program *program, int family)
{
	uint32_t at = (uint32_t)SKF_NET_OFF +
	    (family == AF_INET6 ? SOURCE_V6 : SOURCE_V4);
	unsigned i;

	program->length = 0;
	program->family = family;
	for (i = first_word(program); i < WORDS; i++, at += 4) {
		put(program, BPF_LD | BPF_W | BPF_ABS, at, 0);
		put(program, BPF_ST, i, 0);
	}
}

static uint32_t
mask_of(const struct source_prefix *source, unsigned word)
{
	unsigned before = word * 32;

	if (source->bits <= before)
		return 0;
	if (source->bits >= before + 32)
		return UINT32_MAX;
	return ~(UINT32_MAX >> (source->bits - before));
}

static uint32_t
word_of(const struct source_prefix *source, unsigned word)
{
	uint32_t value;

	memcpy(&value, source->address + 4 * (size_t)word, sizeof(value));
	return ntohl(value);
}

/* How many instructions compare this word. */
static unsigned
cost_of(uint32_t mask)
{
	return mask == 0 ? 0 : mask == UINT32_MAX ? 2 : 3;
}

void
fanout_program_add(struct fanout_program *program,
    const struct source_prefix *source, uint32_t place)
{
	unsigned i, left = 1;	/* with the return */
	uint32_t mask;

	for (i = first_word(program); i < WORDS; i++)
		left += cost_of(mask_of(source, i));
	if (program->length + left >= NITEMS(program->code))
		return;
	for (i = first_word(program); i < WORDS; i++) {
		mask = mask_of(source, i);
		left -= cost_of(mask);
		if (mask == 0)
			continue;
		put(program, BPF_LD | BPF_MEM, i, 0);
		if (mask != UINT32_MAX)
			put(program, BPF_ALU | BPF_AND | BPF_K, mask, 0);
		put(program, BPF_JMP | BPF_JEQ | BPF_K,
		    word_of(source, i) & mask, left);
	}
	put(program, BPF_RET | BPF_K, place, 0);
}

/*
 * Multiplicative hashing (D. E. Knuth, The Art of Computer Programming, volume
 * 3, 6.4), one word after the other: the upper bits depend on all of them, also
 * where senders have addresses that follow each other.
 */
void
fanout_program_share(struct fanout_program *program, const uint32_t place[],
    uint32_t shards)
{
	unsigned i;

	for (i = first_word(program); i < WORDS; i++) {
		if (i > first_word(program))
			put(program, BPF_MISC | BPF_TAX, 0, 0);
		put(program, BPF_LD | BPF_MEM, i, 0);
		if (i > first_word(program))
			put(program, BPF_ALU | BPF_XOR | BPF_X, 0, 0);
		put(program, BPF_ALU | BPF_MUL | BPF_K, GOLDEN, 0);
	}
	put(program, BPF_ALU | BPF_RSH | BPF_K, 16, 0);
	put(program, BPF_ALU | BPF_MOD | BPF_K, shards, 0);
	for (i = 0; i < shards; i++) {
		put(program, BPF_JMP | BPF_JEQ | BPF_K, i, 1);
		put(program, BPF_RET | BPF_K, place[i], 0);
	}
}

int
fanout_program_attach(struct fanout_program *program, uint32_t others, int fd)
{
	struct sock_fprog given = {.filter = program->code};

	put(program, BPF_RET | BPF_K, others, 0);
	given.len = (unsigned short)program->length;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &given,
	    sizeof(given));
}
