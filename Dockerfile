# PixelPlay on a CPU: trains, predicts, and scores cameras. See docs/online.md.
FROM python:3.12-slim
# What OpenCV's wheel and the tracker's solver link to.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libgomp1 \
 && rm -rf /var/lib/apt/lists/*
# PyTorch's CPU wheels are 1/10 of the size of those with CUDA.
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY . /opt/pixelplay
RUN pip install --no-cache-dir '/opt/pixelplay[video,tracks,yolo,videopatchcore,timm,packaged,onnx,web,mqtt]'
# Runs write to the folder where they are started: mount it. Nothing in it belongs to root.
RUN useradd --create-home --uid 1000 pixelplay
USER pixelplay
WORKDIR /work
ENTRYPOINT ["pixelplay"]
CMD ["--help"]
