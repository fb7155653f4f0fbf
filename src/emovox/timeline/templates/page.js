"use strict";
const audio = document.querySelector("audio"), strip = document.querySelector(".strip");
const playhead = document.querySelector(".playhead"), output = document.querySelector("output");
const duration = Number(strip.dataset.duration), axis = document.querySelector(".axis");
const zoom = document.querySelector("input"), scroll = document.querySelector(".scroll");
const pieces = [...document.querySelectorAll("[data-start]")].map(element => ({
  element, start: Number(element.dataset.start), end: Number(element.dataset.end),
}));
let stopAt = Infinity;

function formatTime(seconds) {
  const s = Math.floor(seconds % 60), m = Math.floor(seconds / 60) % 60, h = Math.floor(seconds / 3600);
  return (h ? h + ":" + String(m).padStart(2, "0") : m) + ":" + String(s).padStart(2, "0");
}

function drawAxis() {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  const perSecond = strip.clientWidth / duration;
  const step = steps.find(s => s * perSecond >= 70) || 14400;
  const marks = [];
  for (let t = 0; t < duration - 40 / perSecond; t += step) {
    const mark = document.createElement("span");
    mark.style.left = 100 * t / duration + "%";
    mark.textContent = formatTime(t);
    marks.push(mark);
  }
  axis.replaceChildren(...marks);
}

function movePlayhead() {
  const time = audio.currentTime;
  playhead.style.left = 100 * Math.min(time / duration, 1) + "%";
  if (time >= stopAt) {
    stopAt = Infinity;
    audio.pause();
  }
  if (!audio.paused) requestAnimationFrame(movePlayhead);
}

function show() {
  const time = audio.currentTime;
  const texts = new Set();
  for (const piece of pieces) {
    const now = time >= piece.start && time < piece.end;
    piece.element.classList.toggle("now", now);
    if (now && piece.element.dataset.text) texts.add(piece.element.dataset.text);
  }
  const text = [...texts].join(" · ");
  if (output.textContent !== text) output.textContent = text;
}

function play(start, end) {
  stopAt = end;
  audio.currentTime = start;
  audio.play();
  show();
}

document.addEventListener("click", event => {
  const chosen = event.target.closest("button");
  if (chosen) {
    const piece = chosen.closest("[data-start]");
    play(Number(piece.dataset.start), Number(piece.dataset.end));
  } else if (strip.contains(event.target)) {
    const box = strip.getBoundingClientRect();
    stopAt = Infinity;
    audio.currentTime = duration * (event.clientX - box.left) / box.width;
    show();
  }
});
zoom.addEventListener("input", () => {
  const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / strip.clientWidth;
  strip.style.width = 100 * 2 ** zoom.value + "%";
  scroll.scrollLeft = middle * strip.clientWidth - scroll.clientWidth / 2;
  drawAxis();
});
audio.addEventListener("timeupdate", show);
audio.addEventListener("seeked", show);
audio.addEventListener("seeked", movePlayhead);
audio.addEventListener("play", movePlayhead);
addEventListener("resize", drawAxis);
drawAxis();
