# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# forwarder: mcrelay-forwarder.
#
EXTRA_DIST += man/mcrelay-forwarder.8
if NATS
noinst_LIBRARIES += libforwarder.a
pkglibexec_PROGRAMS += mcrelay-forwarder
libforwarder_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(NATS_CFLAGS)
libforwarder_a_SOURCES = \
	forwarder/account.c forwarder/account.h \
	forwarder/answers.c \
	forwarder/behind.c forwarder/behind.h \
	forwarder/files.c \
	forwarder/forwarder.c forwarder/forwarder.h \
	forwarder/headers.c forwarder/headers.h \
	forwarder/journal.c forwarder/journal.h \
	forwarder/lane.c \
	forwarder/lease.c forwarder/lease_priv.h \
	forwarder/lease_key.c \
	forwarder/lease_rivals.c \
	forwarder/lease_turns.c \
	forwarder/link.c \
	forwarder/live.c forwarder/live.h \
	forwarder/live_list.c \
	forwarder/pack.c forwarder/pack.h \
	forwarder/schemas.c \
	forwarder/source.c forwarder/source.h \
	forwarder/spec.c \
	forwarder/stream.c forwarder/stream.h \
	forwarder/tail.c forwarder/tail.h
mcrelay_forwarder_SOURCES = forwarder/main.c
mcrelay_forwarder_LDADD = libforwarder.a $(READER_LIBS) $(NATS_LIBS) \
	$(EV_LIBS) $(SECCOMP_LIBS)
man_MANS += man/mcrelay-forwarder.8
endif
