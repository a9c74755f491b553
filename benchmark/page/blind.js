// The blind test: two systems in a random order, at the same loudness, round after round, and a result at the end.

class BlindTest {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.player = new Player(() => this.update(), (error) => { this.status.textContent = `Not played: ${error.message}`; });
    this.status = el('p', { role: 'status', class: 'status' });
    this.ask();
  }

  static rivals(data) {
    return [...data.systems.entries()].filter(([, system]) => system.tone !== 'bound');
  }

  ask() {
    const rivals = BlindTest.rivals(this.data).map(([number, system]) => [number, system.short]);
    const [firstLabel, first] = choice('System', rivals);
    const [secondLabel, second] = choice('against', rivals);
    const [stemLabel, stem] = choice('Stem', [...this.data.stems.entries()]);
    const [roundsLabel, rounds] = choice('Rounds', [6, 10, 20].map((count) => [count, count]));
    second.value = String(rivals[1][0]);
    rounds.value = '10';
    const button = el('button', { type: 'button', class: 'play' }, 'Start');
    button.addEventListener('click', () => this.begin(Number(first.value), Number(second.value),
      this.data.stems[Number(stem.value)], Number(rounds.value)));
    this.root.replaceChildren(
      el('div', { class: 'transport' }, firstLabel, secondLabel, stemLabel, roundsLabel, button), this.status);
  }

  begin(first, second, stem, rounds) {
    const streams = (index) => readExcerpt(index, this.data)?.streams ?? {};
    const tracks = [...this.data.tracks.keys()].filter((index) => this.data.tracks[index].audible
      && [first, second].every((system) => `${system}/${stem}` in streams(index)));
    if (first === second || !tracks.length) {
      this.status.textContent = first === second ? 'Choose two different systems.'
        : `No track here has audio of the ${stem} of both.`;
      return;
    }
    this.test = { first, second, stem, rounds, order: [], answers: [] };
    while (this.test.order.length < rounds) this.test.order.push(...shuffled(tracks));
    this.nextRound();
  }

  async nextRound() {
    const { first, second, stem, rounds, order, answers } = this.test;
    const index = order[answers.length];
    this.player.load(readExcerpt(index, this.data));
    this.sides = shuffled([first, second]);
    const button = (text, onClick, tone = 'small') => {
      const made = el('button', { type: 'button', class: tone }, text);
      made.addEventListener('click', onClick);
      return made;
    };
    const answer = (side) => () => this.note(index, side);
    this.plays = [];
    const play = (text, side) => {
      const made = button(text, () => this.toggle(side), 'small play-side');
      made.setAttribute('aria-pressed', 'false');
      this.plays.push(made);
      return made;
    };
    this.heading = el('h3', { tabindex: '-1' }, `Round ${answers.length + 1} of ${rounds}: ${stem}`);
    this.status.textContent = 'Getting the audio ready.';
    this.choices = [button('1 is better', answer(0)), button('No difference', answer(null)),
      button('2 is better', answer(1))];
    this.root.replaceChildren(this.heading,
      el('div', { class: 'transport' }, play('Play 1', 0), play('Play 2', 1), play('Play the true stem', 2)),
      el('div', { class: 'transport' }, ...this.choices,
        button('Stop and show the result', () => this.showResult())), this.status);
    this.heading.focus({ preventScroll: true });
    try {
      await this.matchLevels(stem);
      this.status.textContent = 'Ready.';
    } catch (error) {
      this.status.textContent = `This cannot be played: ${error.message}`;
    }
  }

  // Both systems get the loudness of the quieter one, so that nothing is clipped; the true stem too, if it is louder.
  async matchLevels(stem) {
    const streams = [...this.sides, REFERENCE].map((row) => `${row}/${stem}`).filter((name) => name in this.player.streams);
    const levels = await Promise.all(streams.map(async (name) => loudness(await this.player.decode(name))));
    const target = Math.min(...levels.slice(0, 2).filter(Number.isFinite));
    this.mixes = streams.map((name, side) => {
      const gain = 10 ** ((target - levels[side]) / 20);
      return { [name]: Number.isFinite(gain) ? Math.min(1, gain) : 1 };
    });
  }

  toggle(side) {
    if (!this.mixes?.[side]) return;
    if (this.player.playing && this.side === side) {
      this.player.pause();
      return;
    }
    this.side = side;
    this.player.select(this.mixes[side]);
    if (!this.player.playing) this.player.play();
    this.update();
  }

  update() {
    this.plays?.forEach((button, side) =>
      button.setAttribute('aria-pressed', String(this.player.playing && this.side === side)));
  }

  note(index, side) {
    this.player.pause();
    this.test.answers.push({ index, system: side === null ? null : this.sides[side] });
    if (this.test.answers.length < this.test.rounds) this.nextRound();
    else this.showResult();
  }

  showResult() {
    this.player.pause();
    this.mixes = null;
    const { first, second, stem, answers } = this.test;
    const count = (system) => answers.filter((answer) => answer.system === system).length;
    const [a, b, none] = [count(first), count(second), count(null)];
    const nameOf = (system) => (system === null ? 'no difference' : this.data.systems[system].short);
    const p = signTest(a, b);
    const verdict = a === b ? 'Neither was preferred more often than the other.'
      : `${nameOf(a > b ? first : second)} was preferred more often; `
        + `${p <= 0.05 ? 'this is sure' : 'this may be chance'} (two-sided sign test, p = ${p.toFixed(3)}).`;
    const again = el('button', { type: 'button', class: 'small' }, 'Again');
    again.addEventListener('click', () => { this.status.textContent = ''; this.ask(); });
    this.heading = el('h3', { tabindex: '-1' }, `Result: ${stem}`);
    this.status.textContent = `${nameOf(first)} ${a}, ${nameOf(second)} ${b}, no difference ${none}. ${verdict}`;
    this.root.replaceChildren(this.heading, this.status,
      el('ol', {}, ...answers.map(({ index, system }) =>
        el('li', {}, el('a', { href: `#track-${index}` }, this.data.tracks[index].name), `: ${nameOf(system)}`))), again);
    this.heading.focus({ preventScroll: true });
  }
}

function shuffled(values) {
  const order = [...values];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

// The two-sided p of a against b preferences if both were equally likely.
function signTest(a, b) {
  const total = a + b;
  let [term, sum] = [0.5 ** total, 0];
  for (let count = 0; count <= Math.min(a, b); count += 1) {
    sum += term;
    term *= (total - count) / (count + 1);
  }
  return Math.min(1, 2 * sum);
}

// The loudness of a buffer in LUFS, without gates: ITU-R BS.1770's high shelf and high pass, then the mean square.
async function loudness(buffer) {
  const { numberOfChannels, length, sampleRate } = buffer;
  const context = new OfflineAudioContext(numberOfChannels, length, sampleRate);
  const source = new AudioBufferSourceNode(context, { buffer });
  const shelf = new BiquadFilterNode(context, { type: 'highshelf', frequency: 1682, gain: 4 });
  const highPass = new BiquadFilterNode(context, { type: 'highpass', frequency: 38.1, Q: -6 }); // Q in dB: 0.5
  source.connect(shelf).connect(highPass).connect(context.destination);
  source.start();
  const weighted = await context.startRendering();
  let power = 0;
  for (let channel = 0; channel < numberOfChannels; channel += 1) {
    power += weighted.getChannelData(channel).reduce((sum, sample) => sum + sample * sample, 0) / length;
  }
  return -0.691 + 10 * Math.log10(power);
}
