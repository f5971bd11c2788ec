/* The load of the bench: a sink and a source that cost as little CPU as the kernel allows, so that the server is what is measured.
 *
 *   client fetch PORT METHOD LENGTH REPEAT SECONDS HEADERS TARGET...
 *       one keep-alive connection per TARGET, all in one epoll loop; each asks for its target REPEAT times, or, with REPEAT 0,
 *       until SECONDS are over.  Every answer must be a 200 with a Content-Length of LENGTH; bodies are discarded in the kernel.
 *   client push PORT REPOSITORY SIZE BLOCK chunked|length TAIL:DIGEST...
 *       one thread and connection per TAIL: POST, PATCH, PUT.  A body is the file BLOCK over and over, SIZE bytes of it, with the
 *       last bytes replaced by TAIL; "chunked" frames it in 32 KiB chunks as Go's io.Copy does.
 *   client pull PORT SIZE BLOCK TAIL HEADERS FROM:TARGET...
 *       one connection per TARGET, all in one epoll loop; each asks once, for the bytes from FROM on unless that is "-".  Every
 *       byte of every body is compared with the one of the blob at its place; the blob is made as in a push.  Says of each answer
 *       its status, the offset it begins at, and when, on CLOCK_MONOTONIC, its first and last byte were there.
 *
 * Prints one JSON object; anything unexpected is one line on stderr and exit status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_ROOM = 32768, CHUNK = 32768, CHUNKS_PER_WRITE = 8, DISCARD = 4 << 20 };

/* ---- common ground ---- */

static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int dial(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect to port %d: %s", port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0) die("send: %s", strerror(errno));
        data += n;
        size -= n;
    }
}

struct head {
    char text[HEAD_ROOM + 1];
    size_t filled, length; /* bytes read so far; bytes of the head proper once it is complete */
};

/* Read once from fd; 1 when the head is complete, 0 when more must come. */
static int head_read(struct head *head, int fd)
{
    ssize_t n = recv(fd, head->text + head->filled, HEAD_ROOM - head->filled, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n < 0) die("recv: %s", strerror(errno));
    if (n == 0) die("closed before the end of an answer's head (room %zu)", HEAD_ROOM - head->filled);
    head->filled += n;
    head->text[head->filled] = 0;
    char *end = strstr(head->text, "\r\n\r\n");
    if (end) head->length = end + 4 - head->text;
    return end != NULL;
}

static int head_status(const struct head *head)
{
    int status = 0;
    if (sscanf(head->text, "HTTP/1.1 %d", &status) != 1) die("not an HTTP/1.1 answer: %.40s", head->text);
    return status;
}

/* The value of one field, up to its line's end, or NULL. */
static const char *head_field(const struct head *head, const char *name)
{
    size_t size = strlen(name);
    const char *line = head->text;
    while ((line = strstr(line, "\r\n")) && line + 4 < head->text + head->length) {
        line += 2;
        if (strncasecmp(line, name, size) == 0 && line[size] == ':') {
            line += size + 1;
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

static long long head_content_length(const struct head *head)
{
    const char *value = head_field(head, "Content-Length");
    return value ? atoll(value) : -1;
}

/* The bytes that blobs repeat. */
static char *read_block(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *block = malloc(16 << 20);
    if (!file || !block || !(*size = fread(block, 1, 16 << 20, file))) die("%s can't be read", path);
    fclose(file);
    return block;
}

/* ---- fetch ---- */

struct fetcher {
    int fd, asked;
    char *request;
    long long left; /* body bytes still to come; -1 while the head is being read */
    struct head head;
};

struct fetching {
    int repeat, bodiless;
    long long length, requests, bytes;
    double deadline;
};

/* Send the next request, or close the connection when it has done its share; 1 while it goes on. */
static int fetcher_ask(struct fetcher *one, const struct fetching *all)
{
    int done = all->repeat ? one->asked == all->repeat : now() >= all->deadline;
    if (done) {
        close(one->fd);
        return 0;
    }
    one->asked++;
    one->left = -1;
    one->head.filled = 0;
    write_all(one->fd, one->request, strlen(one->request));
    return 1;
}

static void fetcher_begin_body(struct fetcher *one, struct fetching *all)
{
    if (head_status(&one->head) != 200) die("status %d for %.200s", head_status(&one->head), one->request);
    if (head_content_length(&one->head) != all->length)
        die("Content-Length %lld, not %lld, for %.200s", head_content_length(&one->head), all->length, one->request);
    long long early = one->head.filled - one->head.length;
    one->left = (all->bodiless ? 0 : all->length) - early;
    if (one->left < 0) die("%lld bytes too many for %.200s", -one->left, one->request);
    all->bytes += early;
}

static void fetcher_discard(struct fetcher *one, struct fetching *all)
{
    /* MSG_TRUNC on a TCP socket drops the bytes without copying them anywhere. */
    ssize_t n = recv(one->fd, NULL, one->left < DISCARD ? one->left : DISCARD, MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) die("recv: %s", strerror(errno));
    if (n == 0) die("closed with %lld bytes of the body missing", one->left);
    one->left -= n;
    all->bytes += n;
}

/* Take what one readable connection offers; 0 once it has been closed. */
static int fetcher_readable(struct fetcher *one, struct fetching *all)
{
    if (one->left < 0) {
        if (!head_read(&one->head, one->fd)) return 1;
        fetcher_begin_body(one, all);
    } else {
        fetcher_discard(one, all);
    }
    if (one->left) return 1;
    all->requests++;
    return fetcher_ask(one, all);
}

static void fetch(int argc, char **argv)
{
    if (argc < 9) die("fetch PORT METHOD LENGTH REPEAT SECONDS HEADERS TARGET...");
    int port = atoi(argv[2]), count = argc - 8, loop = epoll_create1(EPOLL_CLOEXEC);
    struct fetching all = {.length = atoll(argv[4]), .repeat = atoi(argv[5]), .bodiless = !strcmp(argv[3], "HEAD")};
    struct fetcher *fetchers = calloc(count, sizeof *fetchers);
    double start = now();
    all.deadline = start + atof(argv[6]);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &fetchers[i]};
        fetchers[i].fd = dial(port);
        if (asprintf(&fetchers[i].request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", argv[3], argv[8 + i], port, argv[7]) < 0)
            die("out of memory");
        epoll_ctl(loop, EPOLL_CTL_ADD, fetchers[i].fd, &event);
        fetcher_ask(&fetchers[i], &all);
    }
    for (int open = count; open;) {
        struct epoll_event ready[64];
        int n = epoll_wait(loop, ready, 64, 60000);
        if (n == 0) die("nothing came for 60 s");
        for (int i = 0; i < n; i++) open -= !fetcher_readable(ready[i].data.ptr, &all);
    }
    printf("{\"seconds\": %.6f, \"requests\": %lld, \"bytes\": %lld}\n", now() - start, all.requests, all.bytes);
}

/* ---- push ---- */

struct pushing {
    int port, chunked;
    const char *repository;
    char *block;
    size_t block_size;
    long long size;
};

struct pusher {
    const struct pushing *all;
    char *tail, *digest, location[HEAD_ROOM];
    int fd;
    double begin, patch, commit; /* seconds spent in POST, PATCH and PUT */
};

/* Read an answer, insist on its status, keep its Location (its path, if it is a whole URL); reconnect if the server closes. */
static void pusher_answer(struct pusher *one, int wanted)
{
    struct head head = {.filled = 0};
    while (!head_read(&head, one->fd))
        ;
    long long body = head_content_length(&head), early = head.filled - head.length;
    if (head_status(&head) != wanted) die("status %d, not %d: %.1000s", head_status(&head), wanted, head.text);
    if (body < early || body > HEAD_ROOM) die("an answer with a body of %lld bytes", body);
    for (char sink[HEAD_ROOM]; early < body;) {
        ssize_t n = recv(one->fd, sink, body - early, 0);
        if (n <= 0) die("an answer's body is cut");
        early += n;
    }
    const char *location = head_field(&head, "Location");
    if (!location) die("no Location: %.1000s", head.text);
    if (!strncmp(location, "http://", 7)) location = strchr(location + 7, '/');
    snprintf(one->location, sizeof one->location, "%.*s", (int)strcspn(location, "\r"), location);
    const char *connection = head_field(&head, "Connection");
    if (connection && !strncasecmp(connection, "close", 5)) {
        close(one->fd);
        one->fd = dial(one->all->port);
    }
}

static void pusher_ask(struct pusher *one, const char *method, const char *target, const char *fields)
{
    char request[2 * HEAD_ROOM];
    int n = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\n%s\r\n", method, target,
                     one->all->port, fields);
    write_all(one->fd, request, n);
}

static void writev_all(struct pusher *one, struct iovec *parts, int count)
{
    while (count) {
        ssize_t n = writev(one->fd, parts, count);
        if (n < 0) {
            fprintf(stderr, "the body is refused (%s); ", strerror(errno));
            pusher_answer(one, 202); /* says the status with which the server hung up */
            die("and yet answered 202");
        }
        for (; count && n >= (ssize_t)parts->iov_len; parts++, count--) n -= parts->iov_len;
        if (count) parts->iov_base = (char *)parts->iov_base + n, parts->iov_len -= n;
    }
}

static struct iovec part(const char *data, size_t size)
{
    return (struct iovec){(char *)data, size};
}

/* The body: several chunks per writev, each with its frame if the body is chunked, the very last bytes being the tail. */
static void pusher_body(struct pusher *one)
{
    const struct pushing *all = one->all;
    size_t tail = strlen(one->tail);
    for (long long at = 0; at < all->size;) {
        struct iovec parts[4 * CHUNKS_PER_WRITE];
        int count = 0;
        for (int i = 0; i < CHUNKS_PER_WRITE && at < all->size; i++, at += CHUNK) {
            int last = at + CHUNK == all->size;
            if (all->chunked) parts[count++] = part("8000\r\n", 6);
            parts[count++] = part(all->block + at % all->block_size, CHUNK - (last ? tail : 0));
            if (last) parts[count++] = part(one->tail, tail);
            if (all->chunked) parts[count++] = part("\r\n", 2);
        }
        writev_all(one, parts, count);
    }
    if (all->chunked) write_all(one->fd, "0\r\n\r\n", 5);
}

static void *push_one(void *argument)
{
    struct pusher *one = argument;
    char line[2 * HEAD_ROOM];
    double start = now();
    one->fd = dial(one->all->port);
    snprintf(line, sizeof line, "/v2/%s/blobs/uploads/", one->all->repository);
    pusher_ask(one, "POST", line, "Content-Length: 0\r\n");
    pusher_answer(one, 202);
    double begun = now();
    snprintf(line, sizeof line, "Content-Type: application/octet-stream\r\nContent-Length: %lld\r\n", one->all->size);
    pusher_ask(one, "PATCH", one->location,
               one->all->chunked ? "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n" : line);
    pusher_body(one);
    pusher_answer(one, 202);
    double patched = now();
    snprintf(line, sizeof line, "%s%cdigest=%s", one->location, strchr(one->location, '?') ? '&' : '?', one->digest);
    pusher_ask(one, "PUT", line, "Content-Length: 0\r\n");
    pusher_answer(one, 201);
    one->begin = begun - start, one->patch = patched - begun, one->commit = now() - patched;
    close(one->fd);
    return NULL;
}

static void load_block(struct pushing *all, const char *path)
{
    all->block = read_block(path, &all->block_size);
    if (all->block_size % CHUNK || all->size < CHUNK || all->size % CHUNK)
        die("%s and the size must be whole chunks of %d bytes", path, CHUNK);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void push(int argc, char **argv)
{
    if (argc < 8) die("push PORT REPOSITORY SIZE BLOCK chunked|length TAIL:DIGEST...");
    int count = argc - 7;
    struct pushing all = {.port = atoi(argv[2]), .repository = argv[3], .size = atoll(argv[4]), .chunked = !strcmp(argv[6], "chunked")};
    struct pusher *pushers = calloc(count, sizeof *pushers), worst = {.fd = -1};
    pthread_t *threads = calloc(count, sizeof *threads);
    load_block(&all, argv[5]);
    double start = now();
    for (int i = 0; i < count; i++) {
        pushers[i].all = &all;
        pushers[i].tail = strsep(&argv[7 + i], ":");
        pushers[i].digest = argv[7 + i];
        if (pthread_create(&threads[i], NULL, push_one, &pushers[i])) die("no thread");
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        worst.begin = larger(worst.begin, pushers[i].begin);
        worst.patch = larger(worst.patch, pushers[i].patch);
        worst.commit = larger(worst.commit, pushers[i].commit);
    }
    printf("{\"seconds\": %.6f, \"bytes\": %lld, \"begin\": %.6f, \"patch\": %.6f, \"commit\": %.6f}\n", now() - start,
           all.size * count, worst.begin, worst.patch, worst.commit);
}

/* ---- pull ---- */

struct pulling {
    char *block;
    const char *tail;
    size_t block_size, tail_size;
    long long size, bytes;
};

struct puller {
    int fd, status;
    char *request;
    const char *target;
    long long begin, at; /* where the answer begins; the next byte to come, -1 while the head is being read */
    double first, last;
    struct head head;
};

/* Compare what came for one offset with the blob. */
static void puller_compare(struct puller *one, struct pulling *all, const char *data, size_t size)
{
    if (!one->first) one->first = now();
    if (one->at + (long long)size > all->size) die("bytes behind the end of %s", one->target);
    all->bytes += size;
    while (size) {
        long long tail_begin = all->size - all->tail_size, into_tail = one->at - tail_begin;
        size_t in_block = one->at % all->block_size, n = size;
        const char *expected = into_tail < 0 ? all->block + in_block : all->tail + into_tail;
        if (into_tail < 0 && n > all->block_size - in_block) n = all->block_size - in_block;
        if (into_tail < 0 && (long long)n > -into_tail) n = -into_tail;
        if (memcmp(data, expected, n)) die("wrong bytes from offset %lld of %s", one->at, one->target);
        one->at += n, data += n, size -= n;
    }
}

static void puller_begin_body(struct puller *one, struct pulling *all)
{
    const char *range = head_field(&one->head, "Content-Range");
    one->status = head_status(&one->head);
    if (one->status != 200 && one->status != 206) die("status %d for %.200s", one->status, one->target);
    if (one->status == 206 && (!range || sscanf(range, "bytes %lld-", &one->begin) != 1)) die("no Content-Range for %s", one->target);
    if (head_content_length(&one->head) != all->size - one->begin)
        die("Content-Length %lld from offset %lld of %s", head_content_length(&one->head), one->begin, one->target);
    one->at = one->begin;
    size_t early = one->head.filled - one->head.length;
    if (early) puller_compare(one, all, one->head.text + one->head.length, early);
}

/* Take what one readable connection offers; 0 once its body is complete. */
static int puller_readable(struct puller *one, struct pulling *all)
{
    static char buffer[1 << 19];
    if (one->at < 0) {
        if (!head_read(&one->head, one->fd)) return 1;
        puller_begin_body(one, all);
    } else {
        ssize_t n = recv(one->fd, buffer, sizeof buffer, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
        if (n < 0) die("recv: %s", strerror(errno));
        if (n == 0) die("closed with %lld bytes of %s missing", all->size - one->at, one->target);
        puller_compare(one, all, buffer, n);
    }
    if (one->at < all->size) return 1;
    one->last = now();
    close(one->fd);
    return 0;
}

static void puller_ask(struct puller *one, int port, char *wanted, const char *headers)
{
    char range[64] = "";
    const char *from = strsep(&wanted, ":");
    if (strcmp(from, "-")) snprintf(range, sizeof range, "Range: bytes=%s-\r\n", from);
    one->target = wanted;
    one->at = -1;
    one->fd = dial(port);
    if (asprintf(&one->request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s\r\n", wanted, port, headers, range) < 0)
        die("out of memory");
    write_all(one->fd, one->request, strlen(one->request));
}

static void pull(int argc, char **argv)
{
    if (argc < 8) die("pull PORT SIZE BLOCK TAIL HEADERS FROM:TARGET...");
    int count = argc - 7, loop = epoll_create1(EPOLL_CLOEXEC);
    struct pulling all = {.size = atoll(argv[3]), .tail = argv[5], .tail_size = strlen(argv[5])};
    struct puller *pullers = calloc(count, sizeof *pullers);
    all.block = read_block(argv[4], &all.block_size);
    double start = now();
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &pullers[i]};
        puller_ask(&pullers[i], atoi(argv[2]), argv[7 + i], argv[6]);
        epoll_ctl(loop, EPOLL_CTL_ADD, pullers[i].fd, &event);
    }
    for (int open = count; open;) {
        struct epoll_event ready[64];
        int n = epoll_wait(loop, ready, 64, 60000);
        if (n == 0) die("nothing came for 60 s");
        for (int i = 0; i < n; i++) open -= !puller_readable(ready[i].data.ptr, &all);
    }
    printf("{\"seconds\": %.6f, \"requests\": %d, \"bytes\": %lld, \"arrivals\": [", now() - start, count, all.bytes);
    for (int i = 0; i < count; i++)
        printf("%s[%d, %lld, %.6f, %.6f]", i ? ", " : "", pullers[i].status, pullers[i].begin, pullers[i].first, pullers[i].last);
    puts("]}");
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && !strcmp(argv[1], "fetch")) fetch(argc, argv);
    else if (argc > 1 && !strcmp(argv[1], "push")) push(argc, argv);
    else if (argc > 1 && !strcmp(argv[1], "pull")) pull(argc, argv);
    else die("fetch, push or pull");
    return 0;
}
