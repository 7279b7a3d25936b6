# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# web: mcrelay-web.
#
EXTRA_DIST += man/mcrelay-web.8
if WEB
noinst_LIBRARIES += libweb.a
pkglibexec_PROGRAMS += mcrelay-web
libweb_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(MICROHTTPD_CFLAGS) \
	$(ZLIB_CFLAGS)
libweb_a_SOURCES = \
	web/accept.c web/accept.h \
	web/answer.c \
	web/ask.c \
	web/auth.c web/auth.h \
	web/basic.c web/basic.h \
	web/config.c web/config.h \
	web/connections.c web/connections.h \
	web/docs.c web/docs.h \
	web/guesses.c web/guesses.h \
	web/hasher.c web/hasher.h \
	web/history.c web/history.h \
	web/keyed.c web/keyed.h \
	web/layout.c web/layout.h \
	web/live.c web/live.h web/live_priv.h \
	web/live_events.c web/live_status.c \
	web/pages.c web/pages.h \
	web/request.c \
	web/streams.c web/streams.h \
	web/text.c web/text.h \
	web/tls.c web/tls.h \
	web/watching.c \
	web/web.c web/web.h web/web_priv.h
mcrelay_web_SOURCES = web/main.c
mcrelay_web_LDADD = libweb.a libmetrics.a libschema.a libcommon.a \
	$(AVRO_LIBS) $(MICROHTTPD_LIBS) $(CRYPT_LIBS) $(EV_LIBS) \
	$(JANSSON_LIBS) $(CODEC_LIBS) $(SECCOMP_LIBS) -lm
man_MANS += man/mcrelay-web.8
endif
