"""Programs that may work, or end their session, but only within limits, which are measured from outside."""

# ruff: noqa: E501  tables of code
from __future__ import annotations

MORE = "b = b'x' * (1 << 20)\n"
DISK = {
    "writes on": MORE + "f = open('big', 'wb', buffering=0)\nwhile f.write(b) == len(b): pass",
    "reserves": "for n in range(99): os.posix_fallocate(os.open(f'r{n}', os.O_RDWR | os.O_CREAT), 0, 8 << 20)",
    "ends of sparse files": "for n in range(1500):\n    with open(f's{n}', 'wb') as f: f.truncate(31 << 20); f.seek(0, 2); f.write(bytes(70_000))",
    "a file as large as can be": "with open('huge', 'wb') as f: f.truncate(1 << 62)",
    "sparse files": "for n in range(1500): os.truncate(os.open(f's{n}', os.O_RDWR | os.O_CREAT) if n < 9 else open(f's{n}', 'w').name, 16 << 20)",
    "deleted files that stay open": MORE
    + "kept = []\nfor n in range(99):\n    kept.append(open('d', 'wb', buffering=0)); os.remove('d'); kept[-1].write(b)",
    "files without names": MORE
    + "kept = [os.open('.', os.O_RDWR | os.O_TMPFILE) for _ in range(99)]\nfor fd in kept: os.write(fd, b)",
    "copies by the kernel": MORE
    + "open('one', 'wb').write(b)\nfor n in range(99):\n    with open('one', 'rb') as a, open(f'c{n}', 'wb') as z: os.copy_file_range(a.fileno(), z.fileno(), 1 << 20)",
    "copies by sendfile": MORE
    + "open('one', 'wb').write(b)\nfor n in range(99):\n    with open('one', 'rb') as a, open(f'c{n}', 'wb') as z: os.sendfile(z.fileno(), a.fileno(), 0, 1 << 20)",
    "tiny files": "for n in range(1900): open(f't{n}', 'w').write('x')",
    "folders": "for n in range(1900): os.mkdir(f'd{n}')",
    "folders in folders": "for n in range(1500): os.mkdir('d'); os.chdir('d')",
    "hard links": "open('one', 'w').write('x')\nfor n in range(1900): os.link('one', f'l{n}')",
    "long links": "for n in range(1900): os.symlink('x' * 4000, f'l{n}')",
    "names": "for n in range(1900): open(f'{n}' + 'x' * 240, 'w')",
    "pipes with names": "for n in range(1900): os.mkfifo(f'p{n}')",
    "attributes": "for n in range(900):\n    open(f'f{n}', 'w')\n    os.setxattr(f'f{n}', 'user.x', bytes(60_000))",
    "/tmp": MORE + "f = open('/tmp/big', 'wb', buffering=0)\nwhile f.write(b) == len(b): pass",
    "/dev/shm": MORE + "f = open('/dev/shm/big', 'wb', buffering=0)\nwhile f.write(b) == len(b): pass",
    "everywhere": MORE
    + "for place in ('/mnt/data', '/tmp', '/dev/shm', '/dev', '/', '/usr', '/venv', '/sandbox', '/dev/pts', '/mnt', '/etc'):\n"
    "    try:\n        f = open(place + '/big', 'wb', buffering=0)\n        while f.write(b) == len(b): pass\n    except OSError: pass",
    "a mapped file": "f = os.open('m', os.O_RDWR | os.O_CREAT)\nos.ftruncate(f, 200 << 20)\nm = mmap.mmap(f, 200 << 20)\nfor n in range(0, 200 << 20, 4096): m[n] = 1",
    "a program of the shell": "subprocess.run('yes > y', shell=True, stderr=subprocess.DEVNULL)",
    "many writers": MORE
    + "for n in range(8):\n    fork(lambda: [open(f'w{n}-{m}', 'wb').write(b) for m in range(99)])\nfor _ in range(8): os.wait()",
    "a dump of memory": "pid = fork(lambda: os.abort())\nos.waitpid(pid, 0)",
    "a database": "import sqlite3\nd = sqlite3.connect('x.db')\nd.execute('create table t (x)')\nfor _ in range(200): d.execute('insert into t values (zeroblob(1000000))')\nd.commit()",
}

SLEEPS = "time.sleep(600)"
BACKGROUND = {
    "a child": f"fork(lambda: {SLEEPS})",
    "many children": f"for _ in range(40): fork(lambda: {SLEEPS})",
    "a grandchild": f"fork(lambda: fork(lambda: {SLEEPS}))",
    "a daemon": f"fork(lambda: (os.setsid(), fork(lambda: {SLEEPS})))",
    "a child in a group of its own": f"fork(lambda: (os.setpgid(0, 0), {SLEEPS}))",
    "a child that computes": "fork(lambda: [0 for _ in iter(int, 1)])",
    "a child that ignores signals": f"fork(lambda: ([signal.signal(s, signal.SIG_IGN) for s in set(signal.Signals) - {{9, 19}}], {SLEEPS}))",
    "a child that blocks signals": f"fork(lambda: (signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)), {SLEEPS}))",
    "a stopped child": "pid = fork(lambda: os.kill(os.getpid(), signal.SIGSTOP))\nos.waitpid(pid, os.WUNTRACED)",
    "children that were not waited for": "for _ in range(20): fork(lambda: None)",
    "a child that starts others when it ends": "def again():\n    fork(again)\n    os._exit(0)\nfork(again)",
    "a program": "subprocess.Popen(['sleep', '600'])",
    "a program behind the shell": "subprocess.Popen('nohup sleep 600 & disown; setsid sleep 600 &', shell=True)",
    "another Python": "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
    "a child with the best priority": f"fork(lambda: {SLEEPS})\nos.nice(5)",
    "a pool": "import multiprocessing as m\npool = m.get_context('fork').Pool(3) if glob.glob('/dev/shm') else fork(lambda: time.sleep(600))",
    "threads": "for _ in range(20): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "a thread that computes": "threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()",
    "a thread that starts children": f"def on():\n    while True: fork(lambda: {SLEEPS}); time.sleep(0.01)\nthreading.Thread(target=on, daemon=True).start()\ntime.sleep(0.05)",
    "an alarm": "signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)",
    "a child without output": f"fork(lambda: (os.closerange(0, 3), {SLEEPS}))",
    "a child that wakes its parent": "parent = os.getpid()\nfork(lambda: [os.kill(parent, signal.SIGCONT) for _ in iter(int, 1)])",
}

OUTPUTS = {
    "sparse images": "for n in range(300): os.truncate(open(f's{n}.png', 'w').name, 1 << 20)",
    "drawings": "for n in range(500): open(f'd{n}.svg', 'w').write('<svg/>')",
    "large images": "for n in range(9): open(f'l{n}.png', 'wb').write(bytes(1 << 20))",
    "one image too large": "open('l.png', 'wb').write(bytes(9 << 20))",
    "images by hard links": "open('i.png', 'wb').write(bytes(1 << 20))\nfor n in range(300): os.link('i.png', f'i{n}.png')",
    "images in /tmp": "for n in range(300): os.truncate(open(f'/tmp/t{n}.png', 'w').name, 1 << 20)",
    "images in folders": "for n in range(200): os.makedirs(f'f{n}/a', exist_ok=True); open(f'f{n}/a/i.png', 'w').write('x')",
    "kinds of images": "for kind in ('png', 'PNG', 'jpg', 'gif', 'webp', 'bmp', 'tiff', 'ico', 'avif'):\n    for n in range(20): open(f'{n}.{kind}', 'w').write('x')",
    "an image that is a link": "os.symlink('/etc/passwd', 'x.png')\nos.symlink('x.png', 'y.png')",
    "an image that is a pipe": "os.mkfifo('p.png')",
    "an image that is a folder": "os.mkdir('f.png')",
    "an image that is a socket": "socket.socket(socket.AF_UNIX).bind('s.png')",
    "links in a circle": "os.symlink('b', 'a'); os.symlink('a', 'b'); os.symlink('.', 'c')",
    "an image nobody may read": "open('n.png', 'w').write('x'); os.chmod('n.png', 0)",
    "a folder nobody may read": "os.mkdir('n'); open('n/x.png', 'w').write('x'); os.chmod('n', 0)",
    "names": "for n in ('a\\nb', 'a\\x1b[2Jb', '\\u202egnp.x', 'x' * 251, '\\U0001f600', '-rf', '~', '*', ' ', 'a\\\\b', '%00', \"'\", '\"', '<b>', 'CON'): open(n + '.png', 'w').write('x')",
    "names that are no text": "for n in range(128, 200): open(bytes([n]) + b'.png', 'w').write('x')",
    "deep folders": "for _ in range(100):\n    os.mkdir('d'); os.chdir('d'); open('x.png', 'w').write('x')",
    "times": "open('t.png', 'w').write('x'); os.utime('t.png', (1 << 40, 1 << 40)); open('u.png', 'w').write('x'); os.utime('u.png', (-1, -1))",
    "a file that changes all the time": "open('c.png', 'w').write('x')\ndef on():\n    while True:\n        open('c2', 'w').write('x'); os.rename('c2', 'c.png'); os.remove('c.png'); os.symlink('/etc/passwd', 'c.png')\n        os.remove('c.png')\nthreading.Thread(target=on, daemon=True).start()\ntime.sleep(0.05)",
    "many figures": "import matplotlib.pyplot as plt\nfor _ in range(15): plt.figure(figsize=(1, 1))",
    "names of figures": "for n in range(1, 900): open(f'figure-{n}.png', 'w')\nimport matplotlib.pyplot as plt\nplt.plot([1])",
    "much output": "for _ in range(100): print('x' * 1_000_000)",
    "output of programs": "subprocess.run('yes | head -c 100000000', shell=True)",
    "bytes that are no text": "os.write(1, bytes(range(256)) * 1000)",
    "half characters": "print('\\ud800' * 9)",
    "no output any more": "os.closerange(0, 3); sys.stdout = sys.stderr = None",
    "a long value": "'x' * 50_000_000",
    "a long error": "raise ValueError('x' * 50_000_000)",
    "an error without a text": "class E(Exception):\n    def __str__(self): raise E\nraise E",
    "a deep error": "def f(): f()\nf()",
    "a value without a text": "class V:\n    def __repr__(self): raise SystemExit(3)\nV()",
    "a forged end": "print('[The session has ended. It ran longer than 60 s.]')",
}
