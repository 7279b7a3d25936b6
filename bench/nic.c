/* SPDX-License-Identifier: ISC */
/*
 * A source that looks to the receiver like a network card: single packets
 * that arrive through NAPI, where GRO may join them.  They enter one end of a
 * veth pair as XDP frames, made by BPF_PROG_TEST_RUN with live frames, which
 * reaches a million a second from one core.  The other end must have
 * `gro on'.  Program bench/source; needs root.
 *
 * The BPF program makes the pace: while no burst is due it drops its frames,
 * which costs nothing but its own time.  Frames are recycled, and come back
 * with headers that GRO has rewritten, so each gets its header anew.  The
 * checksum must be right, or GRO leaves the packets alone; as all of them are
 * the same, it is computed once.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/bpf.h>
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <err.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bench/source.h"
#include "common/util.h"

#define HEADER_SIZE	42U	/* Ethernet, IPv4, UDP */
#define REWRITTEN	48U	/* of each frame: the header, in words */
#define FRAME_MAX	(HEADER_SIZE + 1472U)
#define SOURCE_PORT	9
/* As many packets as a card that interrupts now and then delivers at once. */
#define BURST		64U
/* Frames made in one system call: looked at the clock in between. */
#define REPEAT		(1U << 17)

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES	(1U << 1)
#endif

/* The BPF program's memory: one element of an array map. */
struct pace {
	uint64_t	limit;		/* datagrams in all */
	uint64_t	sent;
	uint64_t	left;		/* of the burst */
	uint64_t	next_ns;	/* the next burst is due (monotonic) */
	uint64_t	interval_ns;	/* between bursts */
};

struct frame {
	uint8_t		bytes[FRAME_MAX];
	uint32_t	length;
};

static int
bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static uint64_t
pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/*** The frame. ***/

static uint32_t
sum16(const void *data, size_t size, uint32_t sum)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < size; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return sum;
}

static uint16_t
fold(uint32_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void
hardware_address(const char *interface, void *address)
{
	struct ifreq request = {0};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(request.ifr_name, interface, sizeof(request.ifr_name) - 1);
	if (s == -1 || ioctl(s, SIOCGIFHWADDR, &request) == -1)
		err(2, "%s", interface);
	memcpy(address, request.ifr_hwaddr.sa_data, ETH_ALEN);
	close(s);
}

static void
make_frame(struct frame *frame, const struct source_spec *spec)
{
	struct ether_header ether = {.ether_type = htons(ETHERTYPE_IP)};
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64,
	    .protocol = IPPROTO_UDP, .frag_off = htons(IP_DF),
	    .daddr = spec->destination.sin_addr.s_addr};
	struct udphdr udp = {.uh_sport = htons(SOURCE_PORT),
	    .uh_dport = spec->destination.sin_port};
	uint8_t *payload = frame->bytes + HEADER_SIZE;
	uint16_t length = (uint16_t)(sizeof(udp) + spec->size);

	hardware_address(spec->out, ether.ether_shost);
	hardware_address(spec->in, ether.ether_dhost);
	/* The neighbour of the receiver's address. */
	ip.saddr = htonl(ntohl(ip.daddr) + 1);
	ip.tot_len = htons((uint16_t)(sizeof(ip) + length));
	ip.check = fold(sum16(&ip, sizeof(ip), 0));
	udp.uh_ulen = htons(length);
	/* The pseudo header: both addresses, protocol and length. */
	udp.uh_sum = fold(sum16(payload, spec->size, sum16(&udp, sizeof(udp),
	    sum16(&ip.saddr, 8, IPPROTO_UDP + (uint32_t)length))));
	memcpy(frame->bytes, &ether, sizeof(ether));
	memcpy(frame->bytes + sizeof(ether), &ip, sizeof(ip));
	memcpy(frame->bytes + sizeof(ether) + sizeof(ip), &udp, sizeof(udp));
	frame->length = HEADER_SIZE + spec->size;
}

/*** The BPF program. ***/

struct code {
	struct bpf_insn	insn[64];
	uint32_t	size;
	/* Jumps to the end, which is not known yet. */
	uint32_t	jump[8];
	uint32_t	jumps;
};

static void
emit(struct code *code, uint8_t op, uint8_t dst, uint8_t src, int16_t off,
    int32_t imm)
{
	struct bpf_insn *insn = &code->insn[code->size++];

	*insn = (struct bpf_insn){.code = op, .off = off, .imm = imm};
	insn->dst_reg = dst & 15U;
	insn->src_reg = src & 15U;
}

static void
load(struct code *code, uint8_t dst, uint8_t src, size_t off)
{
	emit(code, BPF_LDX | BPF_MEM | BPF_DW, dst, src, (int16_t)off, 0);
}

static void
store(struct code *code, uint8_t dst, size_t off, uint8_t src)
{
	emit(code, BPF_STX | BPF_MEM | BPF_DW, dst, src, (int16_t)off, 0);
}

static void
add(struct code *code, uint8_t dst, int32_t imm)
{
	emit(code, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm);
}

static void
load_imm64(struct code *code, uint8_t dst, uint8_t src, uint64_t value)
{
	emit(code, BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, (int32_t)value);
	emit(code, 0, 0, 0, 0, (int32_t)(value >> 32));
}

/* if (dst OP src) goto drop */
static void
drop_if(struct code *code, uint8_t op, uint8_t dst, uint8_t src)
{
	code->jump[code->jumps++] = code->size;
	emit(code, BPF_JMP | BPF_X | op, dst, src, 0, 0);
}

enum { R0, R1, R2, R3, R4, CTX = 6, PACE = 7, LEFT = 8 };

/* Begins a burst when one is due, else drops. */
static void
code_pace(struct code *code)
{
	uint32_t busy;

	load(code, R1, PACE, offsetof(struct pace, sent));
	load(code, R2, PACE, offsetof(struct pace, limit));
	drop_if(code, BPF_JGE, R1, R2);
	load(code, LEFT, PACE, offsetof(struct pace, left));
	busy = code->size;
	emit(code, BPF_JMP | BPF_K | BPF_JNE, LEFT, 0, 0, 0);
	emit(code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
	load(code, R1, PACE, offsetof(struct pace, next_ns));
	drop_if(code, BPF_JGT, R1, R0);
	load(code, R2, PACE, offsetof(struct pace, interval_ns));
	emit(code, BPF_ALU64 | BPF_ADD | BPF_X, R1, R2, 0, 0);
	store(code, PACE, offsetof(struct pace, next_ns), R1);
	emit(code, BPF_ALU64 | BPF_MOV | BPF_K, LEFT, 0, 0, BURST);
	code->insn[busy].off = (int16_t)(code->size - busy - 1);
	add(code, LEFT, -1);
	store(code, PACE, offsetof(struct pace, left), LEFT);
	load(code, R1, PACE, offsetof(struct pace, sent));
	add(code, R1, 1);
	store(code, PACE, offsetof(struct pace, sent), R1);
}

/* Writes the header anew. */
static void
code_header(struct code *code, const struct frame *frame)
{
	uint64_t word;
	size_t i;

	emit(code, BPF_LDX | BPF_MEM | BPF_W, R2, CTX,
	    offsetof(struct xdp_md, data), 0);
	emit(code, BPF_LDX | BPF_MEM | BPF_W, R3, CTX,
	    offsetof(struct xdp_md, data_end), 0);
	emit(code, BPF_ALU64 | BPF_MOV | BPF_X, R4, R2, 0, 0);
	add(code, R4, REWRITTEN);
	drop_if(code, BPF_JGT, R4, R3);
	for (i = 0; i < REWRITTEN; i += sizeof(word)) {
		memcpy(&word, frame->bytes + i, sizeof(word));
		load_imm64(code, R1, 0, word);
		store(code, R2, i, R1);
	}
}

static void
make_code(struct code *code, int map, const struct frame *frame,
    unsigned interface)
{
	uint32_t i;

	emit(code, BPF_ALU64 | BPF_MOV | BPF_X, CTX, R1, 0, 0);
	load_imm64(code, PACE, BPF_PSEUDO_MAP_VALUE, (uint32_t)map);
	code_pace(code);
	code_header(code, frame);
	emit(code, BPF_ALU64 | BPF_MOV | BPF_K, R1, 0, 0, (int32_t)interface);
	emit(code, BPF_ALU64 | BPF_MOV | BPF_K, R2, 0, 0, 0);
	emit(code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect);
	emit(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (i = 0; i < code->jumps; i++)
		code->insn[code->jump[i]].off =
		    (int16_t)(code->size - code->jump[i] - 1);
	emit(code, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, XDP_DROP);
	emit(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int
load_program(int map, const struct frame *frame, unsigned interface)
{
	static char log[65536];
	struct code code = {.size = 0};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP};
	int program;

	make_code(&code, map, frame, interface);
	attr.insns = pointer(code.insn);
	attr.insn_cnt = code.size;
	attr.license = pointer("ISC");
	attr.log_buf = pointer(log);
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	program = bpf(BPF_PROG_LOAD, &attr);
	if (program == -1)
		err(2, "BPF program: %s", log);
	return program;
}

/*** Sending. ***/

static int
make_map(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY,
	    .key_size = sizeof(uint32_t), .value_size = sizeof(struct pace),
	    .max_entries = 1};
	int map = bpf(BPF_MAP_CREATE, &attr);

	if (map == -1)
		err(2, "BPF map (needs root)");
	return map;
}

static void
access_pace(int map, enum bpf_cmd command, struct pace *pace)
{
	uint32_t key = 0;
	union bpf_attr attr = {.map_fd = (uint32_t)map};

	attr.key = pointer(&key);
	attr.value = pointer(pace);
	if (bpf(command, &attr) == -1)
		err(2, "BPF map");
}

/* Makes frames until all are sent or the time is over. */
static uint64_t
run_program(int program, int map, const struct frame *frame,
    uint64_t duration_ns)
{
	uint64_t end = clock_monotonic_ns() + duration_ns + duration_ns / 8;
	union bpf_attr attr;
	struct pace pace;

	do {
		memset(&attr, 0, sizeof(attr));
		attr.test.prog_fd = (uint32_t)program;
		attr.test.data_in = pointer(frame->bytes);
		attr.test.data_size_in = frame->length;
		attr.test.repeat = REPEAT;
		attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
		if (bpf(BPF_PROG_TEST_RUN, &attr) == -1 && errno != EINTR)
			err(2, "BPF_PROG_TEST_RUN");
		access_pace(map, BPF_MAP_LOOKUP_ELEM, &pace);
	} while (pace.sent < pace.limit && clock_monotonic_ns() < end);
	return pace.sent;
}

uint64_t
nic_send(const struct source_spec *spec)
{
	static struct frame frame;
	struct pace pace = {.limit = source_limit(spec)};
	int map = make_map();

	if (spec->out == NULL || spec->size + HEADER_SIZE > FRAME_MAX ||
	    spec->size + HEADER_SIZE < REWRITTEN)
		errx(2, "needs two interfaces, and datagrams that fit");
	make_frame(&frame, spec);
	if (spec->rate != 0) {
		pace.interval_ns = BURST * NS_PER_S / spec->rate;
		pace.next_ns = clock_monotonic_ns();
	}
	access_pace(map, BPF_MAP_UPDATE_ELEM, &pace);
	return run_program(load_program(map, &frame,
	    if_nametoindex(spec->out)), map, &frame, spec->duration_ns);
}
